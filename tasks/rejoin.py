"""The return of a node as a standby: nothing that only it holds is lost without being kept."""

from __future__ import annotations

from runbook import Need, check, ensure, note
from runbook.errors import CommandFailed, Unreachable
from runbook.replication.divergence import divergence
from runbook.replication.rejoining import Rejoining
from runbook.replication.returning import Return, Way
from runbook.run import current
from tasks import clones, service
from tasks._task import task


@task("stop PostgreSQL on {job}")
def stop(job: Return) -> None:
    """See that no server runs on the node, and that none will be started before it is a standby."""
    service.stop(job.node, unless=job.is_prepared)
    if not current().planning and not job.is_prepared():
        _tell_end(job)


@task("keep what only {job} holds")
def keep(job: Return) -> None:
    """Keep the WAL since the fork, and the configuration, before pg_rewind takes it away.

    A clone sets the whole data directory aside, and a plain rejoin takes nothing away.
    """
    if job.way is Way.REWIND and job.alone is not None:
        ensure(
            f"{job.kept} keeps what only {job} holds",
            holds=job.is_kept,
            needs=[service.still_stopped(job.node, job.data.live)],
            by=Rejoining(job).keep,
        )


@task("make {job} a standby of {job.primary}")
def attach(job: Return) -> None:
    """Let repmgr rejoin the node, with or without pg_rewind; or clone it and swap."""
    clones.name_primary(job.clone.following)
    if job.way is Way.CLONE:
        clones.clone(job.clone)
        clones.put_in_place(job.clone)
        return
    rejoining = Rejoining(job)
    needs = [service.still_stopped(job.node, job.data.live)]
    if job.way is Way.REWIND:
        needs.append(Need(f"{job.kept} keeps what only {job} holds", job.is_kept))
    with rejoining.nothing_left():
        ensure(
            f"the data directory of {job} is that of a standby of {job.primary}",
            holds=job.is_prepared,
            needs=needs,
            by=rejoining.actions,
        )


@task("prove that {job} is a standby again")
def prove(job: Return) -> None:
    """See that repmgr knows it, that it streams and replays, and that one node accepts writes."""
    clones.register(job.clone)
    clones.prove(job.clone)
    if job.way is Way.CLONE:
        clones.close(job.clone)
    ensure(
        f"the return of {job} has come to its end",
        holds=job.half.is_over,
        by=[job.half.removal()],
    )
    check(
        f"{job.primary} accepts writes, and {job} does not",
        lambda: job.primary.accepts_writes() and not job.node.accepts_writes(),
        hint="A split brain: stop everything that writes.",
    )


def _tell_end(job: Return) -> None:
    """Tell what only the node holds, now that nothing is added to it any more."""
    try:
        control = job.node.controldata()
        alone = divergence(job.node, job.primary, control)
    except (CommandFailed, Unreachable):
        return
    note(f"only {job} holds: {alone.told}")
