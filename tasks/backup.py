"""Base backups: room, leftovers, taking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from runbook import check, ensure, fact, note
from runbook.actions import Work
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.evidence import on_record
from runbook.backups.jobs import PageBackup, StreamedBackup, unfinished_removed
from runbook.backups.taking import insist_on_possible
from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.inventory import StoreSettings
from runbook.postgres import Node
from runbook.run import current
from runbook.stores import NodeFolderStore
from runbook.units import readable_bytes, readable_seconds
from tasks._task import task
from tasks.database_system import insist_on_same
from tasks.locate import database_bytes, kept_free
from tasks.shrinking import MEASURED, tell_shrunken

_MARGIN = 1.2
_SKEW_SECONDS = 30
_SKEW = timedelta(seconds=_SKEW_SECONDS)

CLOCK = "SELECT extract(epoch FROM clock_timestamp()) AS now"


@task("clear what interrupted runs left in {catalogue}")
def clear_leftovers(catalogue: Catalogue) -> None:
    """Remove backups that a run of ours began and never finished; say which."""
    leftovers, marked = catalogue.leftovers(), catalogue.stale_marks()
    for found in leftovers:
        ensure(
            f"the unfinished {found.id} of an interrupted run is gone",
            holds=partial(_is_gone, catalogue, found.id),
            by=[
                Work(
                    str(catalogue),
                    f"remove {found.id}/ with its {readable_bytes(found.size)}",
                    partial(_removed, catalogue, found.id),
                )
            ],
        )
    for found in marked:
        ensure(
            f"{found.id}, which is whole, no longer bears the mark of the run that made it",
            holds=partial(_is_unmarked, catalogue, found.id),
            by=[Work(str(catalogue), "remove the mark", partial(_unmarked, catalogue, found.id))],
        )
    cut = catalogue.abandoned_uploads()
    if cut:
        ensure(
            "uploads that were cut off are gone",
            holds=lambda: not catalogue.abandoned_uploads(),
            by=[Work(str(catalogue), f"abort {', '.join(cut)}", lambda: _aborted(catalogue))],
        )
    if not leftovers and not marked and not cut:
        note("no interrupted run has left anything behind")


@task("check that {node} is the database system of the last backup")
def same_system(node: Node, catalogue: Catalogue, cluster: Cluster, *, other_system: bool) -> None:
    """Refuse a server that was made anew: an empty one would be backed up, night after night."""
    known = [
        record
        for record in catalogue.readable()
        if isinstance(record, Backup) and record.cluster == cluster.name
    ]
    if not known:
        return
    last = max(known, key=lambda backup: (backup.finished, backup.id))
    insist_on_same(node, last.id, last.system_identifier, "base-backup", other_system=other_system)


@task("check that the clocks agree")
def clocks_agree(node: Node, catalogue: Catalogue) -> None:
    """Tell a clock that is off; refuse one by which a backup in the store is not yet taken."""
    skew = datetime.now(UTC).timestamp() - float(str(node.ask(CLOCK)[0]["now"]))
    if abs(skew) > _SKEW_SECONDS:
        note(f"the clocks of the worker and of {node} differ by {readable_seconds(abs(skew))}")
    future = [
        record.id
        for record in catalogue.readable()
        if isinstance(record, Backup) and record.finished > datetime.now(UTC) + _SKEW
    ]
    check(
        "no backup in the store is from the future",
        lambda: not future,
        seen=lambda: f"{', '.join(future)}; the worker's clock says {datetime.now(UTC):%F %T} UTC",
        hint="Set the worker's clock: retention and latest go by the time of the backups. If it is "
        "right, another one was ahead when that backup was taken: remove its backup.json and adopt "
        "it, which gives it the time of its bytes. If these are of the future, too: rename its "
        "directory so that it no longer begins with backup_ (in a bucket: remove it), and take a "
        "new one.",
    )


@task("check that the backup has room")
def has_room(node: Node, store: StoreSettings, catalogue: Catalogue) -> None:
    """Insist on free space for the backup: by the last one's size, or by the data's.

    And on what the server needs where the store lies on one of its own file systems.
    """
    free = catalogue.store.free_space()
    if free is None:
        note("the store does not tell its free space")
        return
    known = [found.size for found in catalogue.found() if found.complete]
    size = int(_MARGIN * (known[-1] if known else database_bytes(node)))
    reserve = kept_free(node, store)
    needed = size + reserve.least
    fact("free space in the store", readable_bytes(free), bound=False)
    check(
        "the store has room for the backup",
        lambda: free > needed,
        seen=lambda: f"{readable_bytes(free)} free, {readable_bytes(needed)} needed{reserve.told}",
        hint="Prune old backups, or give the store more space.",
    )


@task("take the backup from {node}")
def create(
    node: Node, cluster: Cluster, store: StoreSettings, catalogue: Catalogue, label: str
) -> None:
    """Take a backup, verify every byte of it, and enter it in the catalogue last."""
    run = current()
    insist_on_possible(cluster.backups, label)
    job: StreamedBackup | PageBackup
    if cluster.backups.format == "fast":
        job = StreamedBackup(cluster, node, catalogue, label, run.id, kept_free(node, store))
    elif isinstance(store.location, NodeFolderStore):
        kept = kept_free(node, store)
        job = PageBackup(cluster, node, catalogue, store.location, label, run.id, kept)
    else:
        raise SettingsError(
            f"cluster {cluster} cannot write the page's format to {store}",
            hint="The page's format is written on the node: use a node-folder store.",
        )
    with unfinished_removed(catalogue, job):
        ensure(
            "a verified backup of this run is in the catalogue",
            holds=lambda: catalogue.of_run(run.id) is not None,
            by=job.actions,
        )
    taken = None if run.planning else catalogue.of_run(run.id)
    if taken is not None:
        on_record(run, taken, "taken")
        before = [(each.id, each.data_size) for each in catalogue.before(taken, MEASURED)]
        tell_shrunken(taken.id, taken.data_size, before)


def _is_gone(catalogue: Catalogue, backup_id: str) -> bool:
    return backup_id not in {left.id for left in catalogue.leftovers()}


def _is_unmarked(catalogue: Catalogue, backup_id: str) -> bool:
    return backup_id not in {left.id for left in catalogue.stale_marks()}


def _unmarked(catalogue: Catalogue, backup_id: str) -> str:
    catalogue.unmark(backup_id)
    return f"{backup_id} is unmarked"


def _removed(catalogue: Catalogue, backup_id: str) -> str:
    for found in catalogue.leftovers():
        if found.id == backup_id:
            catalogue.remove(found)
    return f"removed {backup_id}"


def _aborted(catalogue: Catalogue) -> str:
    return f"aborted {catalogue.clear_uploads()} uploads"
