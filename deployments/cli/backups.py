"""The catalogue as a table: which backups there are, and how good they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.settings import InventoryOption, JsonOption, looked_at, tell_left_out, use

if TYPE_CHECKING:
    from runbook.backups.backup import Backup
    from runbook.backups.catalogue import Catalogue, Found
    from runbook.cluster import Cluster
    from runbook.errors import RunbookError
    from runbook.inventory import StoreSettings
    from runbook.postgres import Node


_SKEW_SECONDS = 60.0
"""A backup may be so much younger than now: two clocks never agree to the second."""


@dataclass(frozen=True)
class Row:
    """One directory of the catalogue; sizes in bytes, age in seconds."""

    cluster: str
    id: str
    state: str
    finished: str = ""
    age: float = 0.0
    size: int = 0
    stored: int = 0
    made_by: str = ""
    verified: str = ""
    newest: bool = False


def backups(
    *,
    cluster: Annotated[str, typer.Option(help="Only this cluster; else all of them.")] = "",
    inventory: InventoryOption = None,
    max_age: Annotated[
        str,
        typer.Option(help="Exit 1 where the newest sound one is older, as 26h."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List the backups of a cluster, or of all; the newest sound one is marked."""
    allowed = _seconds(max_age) if max_age else None
    clusters, failed = looked_at(cluster, use(inventory))
    rows = [row for item in clusters for row in _listed_or_told(item, failed)]
    if cluster and failed:
        raise failed[cluster]
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif rows or not failed:
        _show(rows)
    tell_left_out(failed, "listed")
    if allowed is not None:
        names = [item.name for item in clusters if item.name not in failed]
        _insist_on_age(names, rows, allowed)
    if failed:
        raise typer.Exit(1)


def _seconds(age: str) -> float:
    """Read an age, as 26h or 1d 2h."""
    from pydantic import TypeAdapter, ValidationError

    from runbook.errors import SettingsError
    from runbook.objectives import Span

    try:
        return TypeAdapter(Span).validate_python(age).total_seconds()
    except ValidationError as error:
        raise SettingsError(f"--max-age {age} is no age", hint="Give one such as 26h.") from error


def _insist_on_age(clusters: Sequence[str], rows: Sequence[Row], allowed: float) -> None:
    """Fail for every cluster whose newest sound backup is older than so many seconds."""
    from runbook.errors import CheckFailed
    from runbook.units import readable_seconds

    late = []
    for cluster in clusters:
        ages = [row.age for row in rows if row.cluster == cluster and row.state == "sound"]
        if not ages:
            late.append(f"{cluster}: there is no sound backup")
        elif min(ages) < -_SKEW_SECONDS:
            late.append(f"{cluster}: the newest sound backup is from the future: a clock is wrong")
        elif min(ages) > allowed:
            most, age = readable_seconds(allowed), readable_seconds(min(ages))
            late.append(f"{cluster}: the newest sound backup is older than {most}: {age}")
    if late:
        raise CheckFailed(
            "; ".join(late),
            hint="Take one: pg-runbooks run base-backup --cluster NAME --go. Where nights are "
            "missing, `pg-runbooks check` names what keeps them from running; where a clock is or "
            "was wrong, base-backup names the way on.",
        )


def _listed_or_told(cluster: Cluster, failed: dict[str, RunbookError]) -> list[Row]:
    """List the cluster's backups; why they cannot be listed keeps no others from it."""
    from runbook.errors import RunbookError

    try:
        return _listed(cluster)
    except RunbookError as error:
        failed[cluster.name] = error
        return []


def _listed(cluster: Cluster) -> list[Row]:
    """Open the cluster's store and read its catalogue."""
    from blocks.load import load_store
    from runbook.backups.catalogue import Catalogue

    settings = load_store(cluster.backups.store)
    with settings.open(_keeping(cluster, settings).host) as store:
        catalogue = Catalogue(store, cluster.folder)
        rows = [_row(cluster, catalogue, item) for item in catalogue.found()]
    newest = next((row.id for row in reversed(rows) if row.state == "sound"), "")
    return [replace(row, newest=row.id == newest) for row in rows]


def _keeping(cluster: Cluster, settings: StoreSettings) -> Node:
    """Give the node whose folder holds them; where no server answers, the first one."""
    from runbook.errors import RunbookError
    from tasks.locate import keeper

    try:
        return keeper(cluster, settings)
    except RunbookError:
        return cluster.nodes[0]


def _row(cluster: Cluster, catalogue: Catalogue, found: Found) -> Row:
    from runbook.errors import Damaged

    if not found.complete:
        state = "unfinished" if found.begun else "not adopted"
        return Row(cluster.name, found.id, state, stored=found.size)
    try:
        backup = catalogue.get(found.id)
    except Damaged as error:
        return Row(cluster.name, found.id, f"unreadable: {error.message}", stored=found.size)
    return Row(
        cluster=cluster.name,
        id=backup.id,
        state=_state(cluster, backup, found),
        finished=backup.finished.isoformat(timespec="seconds"),
        age=round((datetime.now(UTC) - backup.finished).total_seconds(), 1),
        size=backup.data_size,
        stored=backup.stored_size,
        made_by=backup.made_by,
        verified=backup.verified.isoformat(timespec="seconds"),
    )


def _state(cluster: Cluster, backup: Backup, found: Found) -> str:
    """Tell whether a restore of the cluster would take it, and if not, why."""
    if backup.cluster != cluster.name and not found.damaged:
        return f"of {backup.cluster}"
    return found.unsound(backup) or "sound"


_COLUMNS = ("cluster", "id", "finished (UTC)", "age", "size", "stored", "made by", "verified")
_LEFT_OUT = ("finished (UTC)", "stored", "made by")
"""What a narrow terminal has no room for: the age tells when it was finished."""


def _show(rows: Sequence[Row]) -> None:
    from rich.table import Table

    from deployments.cli.wide import is_narrow, wide_console

    console = wide_console()
    if not rows:
        console.print("There is no backup. Take one: pg-runbooks run base-backup --cluster NAME")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    columns = ("", *_COLUMNS, "state")
    kept = [at for at, name in enumerate(columns) if not (is_narrow(console) and name in _LEFT_OUT)]
    for column in [columns[at] for at in kept]:
        right = column in ("age", "size", "stored")
        whole = column not in ("cluster", "state")
        table.add_column(
            column,
            justify="right" if right else "left",
            no_wrap=whole,
            overflow="fold",
            min_width=None if whole else 5,
        )
    for row in rows:
        style = {"sound": "", "unfinished": "dim", "not adopted": "dim"}.get(row.state, "red")
        cells = tuple(_cells(row))
        table.add_row(*(cells[at] for at in kept), style="bold" if row.newest else style)
    console.print(table)


def _cells(row: Row) -> Iterator[str]:
    from runbook.units import readable_bytes, readable_seconds

    known = bool(row.finished)
    yield "→" if row.newest else ""
    yield from (row.cluster, row.id, row.finished[:19].replace("T", " "))
    yield readable_seconds(row.age) if known else ""
    yield readable_bytes(row.size) if known else ""
    yield readable_bytes(row.stored)
    yield from (row.made_by, row.verified[:16].replace("T", " "), row.state)
