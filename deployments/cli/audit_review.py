"""Reviewing past runs: list, show, export, report."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deployments.cli.audit_text import lines_of, show_table
from deployments.cli.settings import JsonOption

if TYPE_CHECKING:
    from runbook.audit.history import Wanted
    from runbook.audit.past_run import PastRun

ClusterOption = Annotated[str, typer.Option(help="Only runs on this cluster.")]
RunbookOption = Annotated[str, typer.Option(help="Only this runbook.")]
PersonOption = Annotated[str, typer.Option(help="Asked for or answered by; a part of the name.")]
OutcomeOption = Annotated[str, typer.Option(help="completed, failed, refused, waiting, ...")]
SinceOption = Annotated[
    datetime | None, typer.Option("--from", help="Began on or after; UTC.", formats=["%Y-%m-%d"])
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--to", help="Began on or before this day; UTC.", formats=["%Y-%m-%d"]),
]
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list")(list_runs)
    app.command()(show)
    app.command()(export)
    app.command()(report)


def list_runs(
    *,
    cluster: ClusterOption = "",
    runbook: RunbookOption = "",
    person: PersonOption = "",
    outcome: OutcomeOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(help="The newest so many; 0: all.", min=0)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List past runs, the newest last."""
    runs = _runs(_wanted(cluster, runbook, person, outcome, _begin(since), _end(until)))
    shown = runs[-limit:] if limit else runs
    if as_json:
        _print_json(shown)
        return
    show_table(shown)
    if len(shown) < len(runs):
        print(f"the newest {len(shown)} of {len(runs)}; --limit 0 shows all")


def show(
    run: Annotated[str, typer.Argument(help="Id of the run, or how it begins.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one run: what was asked, answered and done. --json gives every entry."""
    from runbook.audit.chain import walk
    from runbook.audit.report.run_view import view
    from runbook.audit.verification import single_findings

    path = record_of(run)
    entries = walk(path.read_bytes()).entries
    if as_json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    seen = view(path.stem, entries)
    print("\n".join(lines_of(seen)))
    print(f"record   {path}")
    for found in single_findings(path):
        print(f"         {found}")


def export(
    *,
    form: Annotated[Literal["json", "csv"], typer.Option("--format", help="json or csv.")] = "csv",
    cluster: ClusterOption = "",
    runbook: RunbookOption = "",
    person: PersonOption = "",
    outcome: OutcomeOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Print past runs for other programs, every field of the index."""
    from runbook.audit.export import as_csv

    runs = _runs(_wanted(cluster, runbook, person, outcome, _begin(since), _end(until)))
    if form == "json":
        _print_json(runs)
    else:
        sys.stdout.writelines(as_csv(runs))


def report(
    run: Annotated[str, typer.Argument(help="A run; without one, a report of a period.")] = "",
    *,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.")] = None,
    cluster: ClusterOption = "",
    runbook: RunbookOption = "",
    person: PersonOption = "",
    outcome: OutcomeOption = "",
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write one HTML file that a reviewer reads without this software: of a run, or of a period."""
    if run:
        path = record_of(run)
        _write(out or Path(f"run-{path.stem}.html"), _run_page(path))
        return
    end = _end(until) or datetime.now(UTC)
    begin = _begin(since) or end - _YEAR
    wanted = _wanted(cluster, runbook, person, outcome, begin, end)
    name = f"runs-{begin:%Y%m%d}-{end - timedelta(seconds=1):%Y%m%d}.html"
    _write(out or Path(name), _period_page(wanted, begin, end))


def record_of(run: str) -> Path:
    """Find the record of a run by the beginning of its id."""
    from runbook.errors import SettingsError

    audit = _audit()
    whole = audit / f"{run}.jsonl"
    plain = run.replace("-", "").replace("_", "").isalnum()
    found = sorted(audit.glob(f"{run}*.jsonl")) if plain else []
    found = [whole] if whole in found else found
    if len(found) != 1:
        raise SettingsError(
            f"there is no run {run!r}" if not found else f"{len(found)} runs begin with {run!r}",
            detail=f"records lie in {audit}",
            hint="pg-runbooks audit list shows the runs.",
        )
    return found[0]


def _run_page(path: Path) -> str:
    from runbook.audit.report.run_page import run_page
    from runbook.audit.verification import single_findings

    return run_page(path, single_findings(path))


def _period_page(wanted: Wanted, begin: datetime, end: datetime) -> str:
    from runbook.audit.report.period import period
    from runbook.audit.report.period_page import period_page
    from runbook.audit.verification import index_verified

    verdict = index_verified(_audit())
    told = (
        f"{verdict.entries:,} entries of the index were verified when this page was written. "
        "`pg-runbooks audit verify` also reads every record."
    )
    seen = period(_runs(wanted), begin, end)
    return period_page(seen, str(wanted), verdict.findings, told)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    print(path)


def _audit() -> Path:
    from runbook.places import state_directory

    return state_directory() / "audit"


def _runs(wanted: Wanted) -> Sequence[PastRun]:
    from runbook.audit.history import past_runs

    return past_runs(_audit(), wanted)


def _wanted(  # noqa: PLR0917 - as many as there are filters
    cluster: str,
    runbook: str,
    person: str,
    outcome: str,
    since: datetime | None,
    until: datetime | None,
) -> Wanted:
    from runbook.audit.history import OUTCOMES, Wanted
    from runbook.errors import SettingsError

    if outcome and outcome not in OUTCOMES:
        raise SettingsError(
            f"there is no outcome {outcome!r}", hint=f"One of: {', '.join(OUTCOMES)}."
        )
    return Wanted(cluster, runbook, person, outcome, since, until)


def _begin(day: datetime | None) -> datetime | None:
    return day.replace(tzinfo=UTC) if day else None


def _end(day: datetime | None) -> datetime | None:
    """Give the end of a day: the last one that is named belongs to the period."""
    return day.replace(tzinfo=UTC) + _DAY if day else None


def _print_json(runs: Sequence[PastRun]) -> None:
    from runbook.audit.export import as_json

    sys.stdout.writelines(as_json(runs))
