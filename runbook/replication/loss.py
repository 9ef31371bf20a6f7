"""What a failover may lose: what the dead primary had written against what the candidate has."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed, Unreachable
from runbook.postgres import Node
from runbook.replication.ending import whole_until
from runbook.replication.handover import Handover
from runbook.tools import pg_waldump
from runbook.units import Lsn


@dataclass(frozen=True)
class Loss:
    """`told` is a sentence for the plan; `commits` is None where the primary cannot be asked."""

    told: str
    commits: int | None = None


def loss(job: Handover) -> Loss:
    """Compare the last known positions; reads the dead primary's WAL where its host answers."""
    new, old = job.new, job.old
    assert old is not None
    if not job.reachable:
        return _unknown(job, old, f"{old.host} does not answer")
    try:
        return _counted(old, new, whole_until(new, job.survey.state(new)))
    except (Unreachable, CommandFailed) as error:
        return _unknown(job, old, error.message)


def _unknown(job: Handover, old: Node, why: str) -> Loss:
    had = job.survey.state(job.new).reached
    furthest = max(job.survey.state(node).reached for node in job.survey.standbys)
    return Loss(
        f"unknown: {old} cannot be asked ({why}). {job.new} has received up to {had}, the "
        f"furthest standby up to {furthest}. What {old} committed after that is lost"
    )


def _counted(old: Node, new: Node, had: Lsn) -> Loss:
    # A checkpoint lies before all that a crash left behind, and its timeline is the last one.
    control = old.controldata()
    first_file = control.wal_file(control.timeline, had)
    program, user = old.program("pg_waldump"), old.os_user
    command = pg_waldump.commits(program, old.directory(), first_file, str(had), user=user)
    counted, _, said = old.host.run(command).stdout.strip().partition("\n")
    if said and not pg_waldump.ENDS.search(said):
        raise CommandFailed(f"the commits of {old} cannot be counted: {said}")
    number, first, last = counted.split("|")
    if not int(number):
        return Loss(f"nothing: {old} holds no commit after {had}, which {new} has received", 0)
    when = f"the first at {first}" + (f", the last at {last}" if last != first else "")
    return Loss(
        f"{number} commits, {when}: {old} has written them after {had}, and {new} has not received "
        f"them. They stay in {old}'s data directory. To lose none: start {old} and hand over with "
        "mode=planned",
        int(number),
    )
