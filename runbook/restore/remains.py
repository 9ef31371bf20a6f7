"""What interrupted runs have left of restores on a node: half a swap, or what nobody took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.backups.backup import is_backup_id
from runbook.postgres import Node
from runbook.restore import staging
from runbook.restore.job import Restore
from runbook.restore.marks import RestoreMark, read_mark
from runbook.restore.outage import StopClock
from runbook.restore.place import Place, kept, look, tablespace_place, whole_place
from runbook.restore.survey import own_locations
from runbook.run import current


@dataclass(frozen=True)
class Remains:
    """What is found beside the places of a restore, and beside the tablespaces in use now."""

    job: Restore
    others: tuple[Place, ...] = ()

    def begun_over(self) -> str:
        """Name the backup that an interrupted run began to put in this one's place; empty if none.

        The data directory may still bear the mark of the restore before, while a tablespace is
        already removed: it must not be taken for that restore. Another backup that
        stands whole has removed everything, or swapped nothing, or is half in place.
        """
        job, data, mark = self.job, self.job.targets.data, self.job.mark()
        if job.again or mark is None or mark.finished is None or not job.clock.started_by():
            return ""
        host, user = job.node.host, job.node.os_user
        begun = kept(host, data, user)["incoming"]
        if job.backup.id in begun:
            return job.backup.id
        return next((each for each in begun if not read_mark(host, data.incoming(each), user)), "")

    def half_swapped(self) -> str:
        """Name another backup that a run has put in some places and not in all; empty if none.

        Swapped once more, the parts of the old data would be kept under two stamps, and mixed.
        """
        job, targets = self.job, self.job.targets
        half = _half_swapped(job.node, targets.data, (*targets.places(), *self.others))
        return next((mark.backup for mark in half if mark.backup != job.backup.id), "")

    def are_left(self) -> bool:
        """Tell whether something was made ready and never took its place."""
        return bool(self._unused())

    def cleared(self) -> tuple[Action, ...]:
        """Remove what was made ready and never took its place; the swap of a plan moves its own."""
        job = self.job
        moved = current().planning and not job.in_place()
        own = job.targets.incoming(job.backup.id) if moved else ()
        node, paths = job.node, [path for path in self._unused() if path not in own]
        if not paths:
            return ()
        line = f"rm -rf {' '.join(paths)}"
        return (Execute(node.host, staging.clear(node, *paths), shown=line),)

    def _unused(self) -> tuple[str, ...]:
        node = self.job.node
        return tuple(
            place.incoming(made)
            for place in self.job.targets.places()
            for made in kept(node.host, place, node.os_user)["incoming"]
        )


def half_restored(node: Node) -> RestoreMark | None:
    """Give the mark of a restore that is in some places of a node and not in all; None if none is.

    Known by the links of the data directory and of what was made ready beside it.
    """
    host, user = node.host, node.os_user
    seen = look(host, node.directory(), user)
    data = whole_place(seen)
    places = [data]
    if seen.wal_link:
        places.append(whole_place(look(host, seen.wal_link, user)))
    for made in kept(host, data, user)["incoming"]:
        locations = own_locations(node, data.live, data.incoming(made))
        places += [tablespace_place(location, seen.version) for location in locations]
    return next(iter(_half_swapped(node, data, places)), None)


def restored_over_nothing(node: Node) -> str:
    """Name the backup whose restore has begun, has no end yet, and has kept nothing; or nothing.

    It was cut off before its swap, or the data is removed (`remove_old`), or there was none. One
    that is in place, and has set the old data aside, is what an undo is for: what stands ready
    beside it has swapped nothing.
    """
    host, user = node.host, node.os_user
    seen = look(host, node.directory(), user)
    data = whole_place(seen)
    if not StopClock(host, user, data.stopped).started_by():
        return ""
    asides = kept(host, data, user)["aside"]
    mark = read_mark(host, data.live, user)
    if mark is not None and mark.finished is None:
        return "" if mark.stamp in asides else mark.backup
    for made in filter(is_backup_id, kept(host, data, user)["incoming"]):
        ready = read_mark(host, data.incoming(made), user)
        if ready is None or ready.stamp not in asides:
            return made
    return ""


def needed_backups(node: Node) -> frozenset[str]:
    """Name the backups that a restore on a node still needs, because it has not come to its end.

    They stand made ready, whole or not, or in place and not closed.
    """
    host, user = node.host, node.os_user
    data = whole_place(look(host, node.directory(), user))
    made = {name for name in kept(host, data, user)["incoming"] if is_backup_id(name)}
    mark = read_mark(host, data.live, user)
    return frozenset(
        made | ({mark.backup} if mark is not None and mark.finished is None else set())
    )


def _half_swapped(node: Node, data: Place, places: Sequence[Place]) -> list[RestoreMark]:
    """List the marks of what was made ready and has taken some of the places."""
    host, user = node.host, node.os_user
    asides = {stamp for place in places for stamp in kept(host, place, user)["aside"]}
    half = []
    for backup_id in kept(host, data, user)["incoming"]:
        mark = read_mark(host, data.incoming(backup_id), user)
        if mark is not None and mark.backup == backup_id and mark.stamp in asides:
            half.append(mark)
    return half
