"""The check of an inventory: one line for everything that it names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.settings import ENVIRONMENT, JsonOption, looked_at, use

if TYPE_CHECKING:
    from deployments.cli.finding import Finding
    from runbook.cluster import Cluster
    from runbook.errors import RunbookError
    from runbook.hosts import Host


def check(
    inventory: Annotated[
        Path | None,
        typer.Argument(
            help="The inventory file; without it the saved blocks.",
            metavar="[INVENTORY]",
            envvar=ENVIRONMENT,
        ),
    ] = None,
    *,
    cluster: Annotated[str, typer.Option(help="Only this cluster.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Reach and use everything that the settings name; exit 1 if anything fails."""
    from deployments.cli.server_findings import server_findings

    clusters, unusable = looked_at(cluster, use(inventory))
    groups = [("Prefect server", "", server_findings())]
    groups += [(f"Cluster {name}", name, _unusable(error)) for name, error in unusable.items()]
    groups += [(f"Cluster {one.name}", one.name, _of(one)) for one in clusters]
    good, records = True, []
    for title, name, found in groups:
        for finding in found if as_json else _shown(title, found):
            good = good and finding.ok
            records.append({"cluster": name, **asdict(finding)})
    if as_json:
        print(json.dumps(records, indent=2, ensure_ascii=False))
    if not good:
        raise typer.Exit(1)


def _unusable(error: RunbookError) -> Iterator[Finding]:
    from deployments.cli.finding import failed

    yield failed("settings", "they can be used", error)


def _of(cluster: Cluster) -> Iterator[Finding]:
    from blocks.load import load_store
    from deployments.cli.approval_findings import approval_findings
    from deployments.cli.findings import findings
    from deployments.cli.logical_findings import logical_findings

    yield from approval_findings(cluster)
    lost: set[Host] = set()
    yield from findings(cluster, load_store(cluster.backups.store), lost)
    if cluster.logical is not None:
        store = load_store(cluster.logical.store)
        yield from logical_findings(cluster, cluster.logical, store, lost)


def _shown(title: str, found: Iterable[Finding]) -> Iterable[Finding]:
    """Print every line as soon as it is known."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(f"{title}:", style="bold")
    for finding in found:
        mark, style, plain = _mark(finding)
        seen = Text(f" ({finding.seen})" if finding.seen and plain else "", style="dim")
        console.print(
            Text("  ") + Text(mark, style) + f" {finding.where}: {finding.what}" + seen,
            soft_wrap=True,
        )
        if not plain:
            for name, text in (("DETAIL", finding.seen), ("HINT", finding.hint)):
                if text:
                    lines = indent(text, " " * (12 + len(name))).lstrip()
                    console.print(Text(f"          {name}: {lines}"), soft_wrap=True)
        yield finding


def _mark(finding: Finding) -> tuple[str, str, bool]:
    """Give the word before a line, its style, and whether the line is all there is to say."""
    if not finding.ok:
        return "FAILED ", "bold red", False
    if finding.gravity == "warning":
        return "WARNING", "bold red", False
    return ("note   ", "yellow", False) if finding.gravity else ("ok     ", "green", True)
