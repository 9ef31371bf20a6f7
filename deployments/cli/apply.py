"""Writing an inventory into Prefect's blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.server import reach_server
from deployments.cli.settings import JsonOption

if TYPE_CHECKING:
    from blocks.save import Change

_SIGNS = {"create": "+", "update": "~", "unchanged": "="}


def apply(
    inventory: Annotated[Path, typer.Argument(help="The inventory file.", metavar="INVENTORY")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create or update the blocks that an inventory names; the file is checked as a whole first."""
    from runbook.inventory import read_inventory

    wanted = read_inventory(inventory)
    reach_server()
    from blocks.save import changes, save

    done = changes(wanted) if dry_run else save(wanted)
    if as_json:
        print(json.dumps([asdict(change) for change in done], indent=2))
    else:
        _show(done, dry_run=dry_run)


def _show(done: Sequence[Change], *, dry_run: bool) -> None:
    for change in done:
        print(f"{_SIGNS[change.verb]} {change.kind} {change.name}: {change.verb}")
        for line in change.lines:
            print(f"    {line}")
    count = sum(change.verb != "unchanged" for change in done)
    verb = "would be written" if dry_run else "written"
    print(f"{count} of {len(done)} blocks {verb}." if count else "All blocks are already so.")
    clusters = [one for one in done if one.kind == "cluster" and one.verb != "unchanged"]
    if clusters and not dry_run:
        print("Next, for their deployments and nights: pg-runbooks register")
