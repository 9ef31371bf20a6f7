"""A whole cluster: stopped, its metadata put right, and proven to be one again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runbook import check, ensure, note, together
from runbook.actions import Action
from runbook.postgres import Node
from runbook.replication.configuration import configuration
from runbook.replication.following import Following, following
from runbook.replication.members import members
from runbook.replication.metadata import has_no_complaint
from runbook.replication.slots import Slot, SlotAudit, audited, slots
from runbook.replication.survey import survey
from runbook.replication.topology import Shown, cluster_show
from runbook.restore.whole import ClusterRestore
from runbook.run import current
from runbook.units import readable_seconds
from tasks import service
from tasks._task import task
from tasks.slots import drops

_STREAM_SECONDS = 60.0
_SHOW_SECONDS = 30.0

_SYNCHRONOUS = "SELECT current_setting('synchronous_standby_names') AS names"


def stop(whole: ClusterRestore) -> None:
    """See that no server of the cluster runs, all at the same time."""
    together([partial(_stop, whole, node) for node in whole.lineup.stopped])


@task("tell what waits for the standbys")
def tell_waiting(whole: ClusterRestore) -> None:
    """Say it where commits wait for a standby that is not there yet."""
    if current().planning:
        return
    names = whole.primary.node.ask(_SYNCHRONOUS)[0]["names"]
    if names:
        note(f"synchronous_standby_names = '{names}': commits wait until standbys are cloned")


@task("put repmgr's metadata right")
def put_metadata_right(whole: ClusterRestore) -> None:
    """See that repmgr knows the restored primary as such, and nobody who does not exist."""
    wanted, node = whole.metadata, whole.primary.node
    ensure(
        f"repmgr knows {node} as the primary, the others below it, and no stranger",
        holds=wanted.is_right,
        by=lambda: _corrections(whole),
        within=10,
    )


@task("audit the slots of {whole.lineup.primary}")
def audit_slots(whole: ClusterRestore) -> None:
    """See that no needed slot is missing, and that none is kept for a node that is not there."""
    node = whole.primary.node
    ensure(
        f"{node} keeps no slot for a node that was left out",
        holds=lambda: not _left_over(whole),
        by=lambda: () if current().planning else drops(node, _left_over(whole)),
    )
    check(
        f"the slots of {node} are those of its standbys, none missing, none orphaned",
        lambda: _audit(whole).clean,
        seen=lambda: _audit(whole).told,
        hint="A slot that nobody uses keeps WAL until the disk is full. If it is nobody's: "
        "SELECT pg_drop_replication_slot('NAME').",
    )


@task("check that replication and repmgr agree")
def agrees(whole: ClusterRestore) -> None:
    """Insist on one primary, on every standby that follows it, and on what repmgr says of it."""
    node, nodes = whole.primary.node, whole.lineup.members
    for standby in whole.standbys:
        ensure(
            f"{standby} streams from {node} and is registered",
            holds=partial(_is_sound, following(standby, node)),
            by=(),
            within=_STREAM_SECONDS,
        )
    check(
        f"{node} is the only node that accepts writes",
        lambda: [found.name for found in survey(whole.lineup.cluster).writable] == [node.name],
        seen=lambda: survey(whole.lineup.cluster).told,
        hint="Stop the other one at once, and find out what was written there.",
    )
    ensure(
        "every node has the same metadata",
        holds=lambda: len({members(each) for each in nodes}) == 1,
        by=(),
        within=_SHOW_SECONDS,
    )
    ensure(
        "repmgr cluster show says so, too",
        holds=lambda: _is_shown(whole),
        by=(),
        within=_SHOW_SECONDS,
    )


@task("tell how long the cluster had no standby")
def tell_redundancy(whole: ClusterRestore) -> None:
    """Tell the time from the first stop until all standbys follow, and what is to do next."""
    run = current()
    for node in whole.lineup.left_out:
        note(f"{node} was left out: it must not start as it is; bring it back with standby-rebuild")
    note(
        "take a base backup now (base-backup; with other_system=true where the data was of "
        "another system): the restored cluster has none of its own yet"
    )
    seconds = None if run.planning else whole.primary.clock.seconds()
    if seconds is not None:
        run.memory["redundancy seconds"] = seconds
        note(f"all standbys follow {readable_seconds(seconds)} after the first stop")


def _stop(whole: ClusterRestore, node: Node) -> None:
    """Stop a node unless its part is done; one that is left out must not run at all."""
    job = whole.primary
    done: Callable[[], bool] = partial(whole.is_cloned, node)
    if node.name == job.node.name:
        done = job.in_place
    elif node in whole.lineup.left_out:
        done = lambda: False  # noqa: E731
    service.stop(node, unless=done)


def _corrections(whole: ClusterRestore) -> tuple[Action, ...]:
    """Tell what the backup's metadata say wrongly, and give what corrects it."""
    if not current().planning:
        for said in whole.metadata.wrong(members(whole.primary.node)):
            note(f"repmgr's metadata in the backup: {said}")
    return whole.metadata.actions()


def _is_sound(standby: Following) -> bool:
    return not standby.problem()


def _audit(whole: ClusterRestore) -> SlotAudit:
    needed = [configuration(node) for node in whole.standbys]
    found = slots(whole.primary.node)
    return audited(found, (each.slot for each in needed if each.uses_slots))


def _left_over(whole: ClusterRestore) -> tuple[Slot, ...]:
    """Give the slots of nodes that repmgr knows and this restore has left out."""
    left_out = whole.metadata.left_out
    owned = {row.slot_name for row in members(whole.primary.node) if row.name in left_out}
    return tuple(slot for slot in _audit(whole).orphaned if slot.name in owned and not slot.active)


def _is_shown(whole: ClusterRestore) -> bool:
    """Ask repmgr on the primary; without left-out nodes it must have nothing to complain of."""
    node, ids = whole.primary.node, whole.metadata.ids
    wanted = {ids[each.name]: Shown(True, True) for each in whole.standbys}
    wanted[whole.metadata.primary_id] = Shown(True, False)
    seen = {number: row for number, row in cluster_show(node).items() if number in wanted}
    return seen == wanted and (bool(whole.metadata.left_out) or has_no_complaint(node))
