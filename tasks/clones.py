"""Standbys cloned from the living primary and proven to stream, several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from runbook import Need, check, ensure, together
from runbook.actions import Execute
from runbook.postgres import Node
from runbook.replication import limits
from runbook.replication.clone import Clone
from runbook.replication.clone_places import known_source, targets
from runbook.replication.cloning import Cloning
from runbook.replication.following import Following, following
from runbook.replication.half_rejoin import HalfRejoin
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.replication.server import look
from runbook.run import current
from runbook.tools import repmgr
from tasks import service
from tasks._task import task

_STREAM_SECONDS = 120.0
_SLOT_SECONDS = 30.0


def to_clone(
    node: Node,
    primary: Node,
    *,
    of: str = "",
    again: bool = False,
    remove_old: bool = False,
    fast_checkpoint: bool = True,
) -> Clone:
    """Give the job of cloning a standby from the primary; see `Clone` for what may be chosen."""
    mine = following(node.located(), primary)
    taken = known_source(primary)
    places = targets(mine.node, taken, mine.mine.mapping)
    own_files = HalfRejoin(mine.node, places.data).own_files()
    return Clone(mine, places, of, again, remove_old, fast_checkpoint, own_files, taken)


def rebuild(
    nodes: Sequence[Node],
    primary: Node,
    *,
    of: str = "",
    remove_old: bool = False,
    fast_checkpoint: bool = True,
) -> None:
    """Make every node a sound standby of the primary, all at the same time.

    Each is stopped, cloned and verified beside its old data, swapped, started, registered and
    proven to stream; one that already is one, made from `of` where that is said, is left alone.
    """
    choose = partial(
        to_clone,
        primary=primary,
        of=of,
        remove_old=remove_old,
        fast_checkpoint=fast_checkpoint,
    )
    together([partial(_rebuild, partial(choose, node)) for node in nodes])


@task("stop PostgreSQL on {job}")
def stop(job: Clone) -> None:
    """Stop what runs on the standby, unless nothing is to be cloned."""
    service.stop(job.node, unless=job.in_place)


@task("let repmgr's metadata name {job.primary}")
def name_primary(job: Following) -> None:
    """See that repmgr takes the node that accepts writes for the primary, and no other one."""
    primary = job.primary
    command = repmgr.register_primary(
        repmgr_program(primary), repmgr_of(primary).configuration, user=primary.os_user
    )
    ensure(
        f"repmgr's metadata name {primary} as the only primary",
        holds=job.primary_is_named,
        by=[Execute(primary.host, command)],
        within=10,
    )


def comes_up(job: Clone) -> None:
    """Insist that the clone will replay: with its own files, which are put over the primary's."""
    small = limits.of_a_clone(job.node, job.primary, job.own_files or job.live, job.saved)
    not_smaller(job.node, job.primary, small)


def not_smaller(node: Node, primary: Node, small: limits.TooSmall) -> None:
    """Insist that a standby will not be configured smaller than its primary."""
    check(
        f"{node} will not be configured smaller than {primary}",
        lambda: not small.names,
        seen=lambda: f"{', '.join(small.names)}, as {small.file} says",
        hint=f"Raise it in {small.file} on {node.host}, which {node} keeps, and start the runbook "
        "again: a standby whose primary has more does not come up.",
    )


@task("clone {job} from its primary")
def clone(job: Clone) -> None:
    """Clone beside the old data, and let pg_verifybackup judge it."""
    cloning = Cloning(job)
    if not current().planning and not job.ready():
        comes_up(job)
    if not current().planning and not job.ready():
        ensure(
            f"nobody uses the slot of {job} any more",
            holds=cloning.slot_is_free,
            by=(),
            within=_SLOT_SECONDS,
        )
    with cloning.whole_or_gone():
        ensure(
            f"a clone of {job.primary} stands verified beside the old data of {job}",
            holds=job.ready,
            needs=[service.still_stopped(job.node, job.live)],
            by=cloning.actions,
        )


@task("put the clone in the place of the data directory of {job}")
def put_in_place(job: Clone) -> None:
    """Swap the directories by renaming; the old data is kept aside."""
    ensure(
        f"{job.live} is a clone of {job.primary}",
        holds=job.in_place,
        needs=[
            Need("the clone stands whole and verified", job.is_made_ready),
            service.still_stopped(job.node, job.live),
        ],
        by=job.put_in_place,
    )


@task("register {job}")
def register(job: Clone) -> None:
    """Write the standby's record anew on the primary, and wait until the standby has it too."""
    node = job.node
    command = repmgr.register_standby(
        repmgr_program(node),
        repmgr_of(node).configuration,
        user=node.os_user,
        upstream=job.following.theirs.node_id,
    )
    ensure(
        f"repmgr knows {node} as an active standby of {job.primary}",
        holds=job.following.is_registered,
        by=[Execute(node.host, command)],
        within=30,
    )


@task("prove that {job} streams")
def prove(job: Clone) -> None:
    """See that the standby receives through its slot, and replays what the primary has now."""
    ensure(
        f"{job} streams from {job.primary}",
        holds=job.following.streams,
        by=(),
        within=_STREAM_SECONDS,
    )
    if not current().planning:
        _replays(job)


@task("close the rebuild of {job}")
def close(job: Clone) -> None:
    """Write down that the standby has proven itself; what a restore had begun there is over."""
    ensure(
        f"no restore that was begun on {job} waits for its end",
        holds=lambda: not job.clock.started_by(),
        by=[job.clock.forgotten()],
    )
    ensure(f"the rebuild of {job} has come to its end", holds=job.closed, by=job.close)


def _replays(job: Clone) -> None:
    position = look(job.primary).written
    assert position is not None
    ensure(
        f"{job} has replayed what {job.primary} had written a moment ago",
        holds=lambda: job.following.has_replayed(position),
        by=(),
        within=_STREAM_SECONDS,
    )


def _rebuild(choose: Callable[[], Clone]) -> None:
    job = choose()
    stop(job)
    clone(job)
    put_in_place(job)
    service.start_standby(job.node)
    register(job)
    prove(job)
    close(job)
