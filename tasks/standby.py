"""The steps that make a server the passive standby of another."""

from __future__ import annotations

from collections.abc import Sequence

from runbook import Need, check, ensure, note
from runbook.actions import Action, Execute, Work
from runbook.errors import CheckFailed, CommandFailed, Unreachable
from runbook.replication.server import look
from runbook.run import current
from runbook.standby import proof
from runbook.standby.copying import Copying
from runbook.standby.setup import StandbySetup
from tasks._task import task

_START_SECONDS = 600.0
_STREAM_SECONDS = 60.0
_REVIVAL_SECONDS = 2.0


@task("copy {setup.primary} into {setup.repl}")
def copy(setup: StandbySetup) -> None:
    """See that a verified copy of the primary stands beside the standby's data."""
    copying = Copying(setup)
    with copying.whole_or_gone():
        ensure(
            f"{setup.repl} is a verified copy of {setup.primary}",
            holds=lambda: setup.in_place() or copying.is_ready(),
            by=copying.actions,
        )


@task("put the copy in the place of {setup.live}")
def put_in_place(setup: StandbySetup) -> None:
    """Swap the directories by renaming; the old data is kept."""
    copying = Copying(setup)
    ensure(
        f"{setup.live} is the copy of {setup.primary}",
        holds=setup.in_place,
        needs=[
            Need(f"{setup.repl} is whole and verified", copying.is_ready),
            Need(
                f"no server runs on {setup.live}",
                lambda: setup.standby.stays_stopped(_REVIVAL_SECONDS),
                seen=lambda: "something has started it again",
                hint="Stop the supervisor that does it, or name it as the node's service.",
            ),
        ],
        by=copying.put_in_place,
    )
    ensure(
        f"the password is only in {setup.live}",
        holds=copying.secret_is_gone,
        by=lambda: [copying.remove_secret()],
    )


@task("start {setup.standby}")
def start(setup: StandbySetup) -> None:
    """See that the standby is up, and a standby."""
    ensure(
        f"{setup.standby} answers, and is a standby",
        holds=lambda: _answers_as_standby(setup),
        by=lambda: _starting(setup),
        within=_START_SECONDS,
    )


@task("look at both ends of the replication")
def view(setup: StandbySetup) -> None:
    """Insist on walsender, walreceiver and an active slot, and on a standby that is read-only."""
    check(
        f"{setup.standby} streams from {setup.primary} over slot {setup.slot_name}",
        lambda: proof.within_patience(lambda: proof.streams(setup), _STREAM_SECONDS),
        seen=lambda: proof.seen(setup),
        hint=f"See the log of {setup.standby}. If WAL that it needs is gone: stop it, remove "
        f"{setup.live}/pgsql_tmp_standby.json and start the runbook again; then it is copied anew.",
    )
    check(
        f"{setup.standby} is in recovery and read-only",
        lambda: proof.is_read_only(setup),
        hint="Two servers are writable: stop the applications, and find out why.",
    )
    if not current().planning:
        note(proof.seen(setup))


@task("prove that {setup.standby} follows {setup.primary}")
def prove(setup: StandbySetup) -> None:
    """See that a row written on the primary was read on the standby, which refuses to write."""
    line = (
        f"CREATE TABLE {proof.TABLE} AS SELECT ...; read it on {setup.standby}; "
        f"CREATE TABLE there must be refused; DROP TABLE {proof.TABLE}"
    )
    ensure(
        f"a row of {setup.primary} was read on {setup.standby}, which refuses writes",
        holds=lambda: proof.is_proven(setup),
        by=lambda: [Work(setup.primary.host.name, line, lambda: proof.prove(setup))],
    )
    check(
        f"{setup.standby} has replayed what {setup.primary} has written",
        lambda: proof.has_caught_up(setup, _STREAM_SECONDS),
        seen=lambda: proof.seen(setup),
        hint="Is replay paused (pg_wal_replay_resume)? Does a query on the standby hold it up?",
    )


def _answers_as_standby(setup: StandbySetup) -> bool:
    try:
        state = look(setup.standby)
    except (Unreachable, CommandFailed):
        return False
    if not state.in_recovery and not current().planning:
        raise CheckFailed(
            f"{setup.standby} has come up as a primary",
            detail=f"it is system {state.system_identifier}; "
            f"{setup.live} is a standby of {setup.system_identifier}",
            hint="Does the server work in another directory than the inventory says? In a "
            "container: is that directory the one that is mounted? Nothing was lost.",
        )
    return state.in_recovery


def _starting(setup: StandbySetup) -> Sequence[Action]:
    """Give the start, unless a server is on its way up: that of a run that was interrupted."""
    standby = setup.standby
    wanted = current().planning or standby.is_stopped()
    start = standby.service.start(standby) if wanted else ()
    commands = (*standby.service.release(standby), *start)
    return [Execute(standby.host, command) for command in commands]
