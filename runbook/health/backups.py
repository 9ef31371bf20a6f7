"""Findings about the backups of a cluster: by what lies in the stores, never by a schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial

from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.cluster import Cluster
from runbook.components import places
from runbook.components.group import observed
from runbook.health.finding import Finding, Level, found, gathered, graded
from runbook.health.limits import Limit
from runbook.inventory import StoreSettings
from runbook.logical.reading import stored_dumps
from runbook.stores import OpenStore
from runbook.units import readable_seconds

_USUAL = timedelta(hours=36)
_GRACE = timedelta(hours=1)
"""A backup that ends some minutes later than the night before is not a missed one."""
_SKEW_SECONDS = 60.0
_MILLISECONDS = 10**11
"""Times above it are no seconds: those would be of the year 5138."""

Load = Callable[[str], StoreSettings]
Opened = Callable[[StoreSettings], AbstractContextManager[OpenStore]]


def backup_findings(cluster: Cluster, load: Load, opened: Opened) -> list[Finding]:
    """Look how old the newest backup of each kind is that the settings have a place for."""
    limit = allowed(cluster)
    if limit is None:
        return []
    kinds: list[tuple[str, str, Callable[[], datetime | None]]] = [
        ("base backup", "base-backup", lambda: _base(cluster, load, opened))
    ]
    if cluster.logical:
        kinds.append(("logical backup", "logical-backup", lambda: _logical(cluster, load, opened)))
    if cluster.components:
        kinds.append(("component dumps", "component-backup", lambda: _components(cluster, load)))

    def look(what: str, runbook: str, newest: Callable[[], datetime | None]) -> list[Finding]:
        aged = partial(_aged, cluster, what, runbook, limit=limit)
        return gathered(str(cluster), what, lambda: aged(newest()))

    return [finding for kind in kinds for finding in look(*kind)]


def allowed(cluster: Cluster) -> Limit | None:
    """Give the bounds of the age of a backup in hours; None where nobody wants to know."""
    limit = cluster.health_limits.backup_hours
    if limit is not None:
        return None if limit == "off" else limit
    rpo = cluster.objectives.rpo
    hours = (rpo + _GRACE if rpo else _USUAL).total_seconds() / 3600
    return Limit(warning=hours, critical=2 * hours)


def _aged(
    cluster: Cluster, what: str, runbook: str, newest: datetime | None, limit: Limit
) -> Iterator[Finding]:
    hint = f"Why does none come? See the last runs of {runbook}, and its schedule; take one now."
    if newest is None:
        others = cluster.logical or cluster.components or cluster.manager
        level = Level.WARNING if what == "base backup" and others else Level.CRITICAL
        off = "health_limits.backup_hours: off, where none is wanted."
        yield found(level, str(cluster), what, "there is no sound one", f"{hint} {off}")
        return
    age = (datetime.now(UTC) - newest).total_seconds()
    if age < -_SKEW_SECONDS:
        text = f"the newest sound one is from the future: {newest:%Y-%m-%d %H:%M:%S} UTC"
        hint = (
            "The clock here, or that of who made it, is or was ahead: nobody would see for as long "
            f"that none comes. Set it; {runbook} refuses while that backup is newer than now."
        )
        yield found(Level.CRITICAL, str(cluster), what, text, hint)
        return
    text = f"the newest sound one is {readable_seconds(max(0, age))} old"
    yield found(graded(age / 3600, limit), str(cluster), what, text, hint)


def _base(cluster: Cluster, load: Load, opened: Opened) -> datetime | None:
    with opened(load(cluster.backups.store)) as store:
        catalogue = Catalogue(store, cluster.folder)
        return _last(
            backup.finished
            for each, backup in catalogue.records()
            if isinstance(backup, Backup)
            and backup.cluster == cluster.name
            and not each.unsound(backup)
        )


def _logical(cluster: Cluster, load: Load, opened: Opened) -> datetime | None:
    """Go by the names: the Backup Manager's have no record of ours."""
    assert cluster.logical is not None
    with opened(load(cluster.logical.store)) as store:
        times = [int(dump.name.timestamp) for dump in stored_dumps(store, cluster.logical)]
    seconds = (time / 1000 if time > _MILLISECONDS else time for time in times)
    return _last(datetime.fromtimestamp(time, UTC) for time in seconds)


def _components(cluster: Cluster, load: Load) -> datetime | None:
    """Give the time of the database whose newest dump, wherever it lies, is the oldest."""
    with places.opened(observed(cluster), load) as open_places:
        newest = [
            _last(
                dump.finished
                for catalogue in open_places.catalogues
                for dump in catalogue.look(database).sound
            )
            for database in open_places.group.settings.databases
        ]
    known = [time for time in newest if time is not None]
    return min(known) if len(known) == len(newest) else None


def _last(times: Iterable[datetime]) -> datetime | None:
    return max(times, default=None)
