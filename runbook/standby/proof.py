"""Proof that a standby follows: what both servers say, and a row written here and read there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from runbook.errors import CheckFailed, CommandFailed, Unreachable
from runbook.replication.server import Sender, look, senders
from runbook.standby.mark import write_mark
from runbook.standby.setup import StandbySetup
from runbook.units import Lsn

TABLE = "pg_runbooks_replication_proof"

_READ_ONLY = """
SELECT pg_catalog.pg_is_in_recovery() AND current_setting('transaction_read_only')::bool AS so
"""
_LOOK_SECONDS = 0.2


def streams(setup: StandbySetup) -> bool:
    """Tell whether the standby streams from this primary over its slot, as both of them say."""
    try:
        receiver = look(setup.standby).receiver
        slot = setup.slot()
        return (
            receiver is not None
            and receiver.status == "streaming"
            and receiver.slot_name == setup.slot_name
            and slot is not None
            and slot.active
            and any(sender.state == "streaming" for sender in mine(setup))
        )
    except (Unreachable, CommandFailed):
        return False


def mine(setup: StandbySetup) -> tuple[Sender, ...]:
    """Give the primary's walsenders that serve this standby."""
    return tuple(one for one in senders(setup.primary) if one.name == setup.standby.name)


def seen(setup: StandbySetup) -> str:
    """Describe both ends of the stream, for people."""
    try:
        state = look(setup.standby)
    except (Unreachable, CommandFailed) as error:
        return f"{setup.standby}: {error.detail or error.message}"
    receiver = state.receiver
    near = f"walreceiver {receiver.status} from {receiver.sender_host}" if receiver else "none"
    far = ", ".join(f"{s.state} to {s.address}, {s.sync_state}" for s in mine(setup)) or "none"
    slot = setup.slot()
    return f"walreceiver: {near}; walsender: {far}; slot: {slot or 'none'}"


def has_caught_up(setup: StandbySetup, within: float) -> bool:
    """Tell whether the standby replays what the primary has written by now."""
    wanted = look(setup.primary).written or Lsn(0)
    return within_patience(lambda: (look(setup.standby).replayed or Lsn(0)) >= wanted, within)


def is_read_only(setup: StandbySetup) -> bool:
    """Tell whether the standby is in recovery and its transactions are read-only."""
    return setup.standby.ask(_READ_ONLY)[0]["so"] is True


def prove(setup: StandbySetup) -> str:
    """Write a row on the primary, read it on the standby, see a write refused there, clean up."""
    token = uuid.uuid4().hex
    write = f"CREATE TABLE {TABLE} AS SELECT '{token}'::text AS token"
    try:
        _change(setup, f"DROP TABLE IF EXISTS {TABLE}")
        _change(setup, write)
        if not within_patience(lambda: _read(setup) == token, 60):
            raise CheckFailed(
                f"a row written on {setup.primary} was not read on {setup.standby} in 60 s",
                detail=seen(setup),
                hint="Is replay paused there (pg_wal_replay_resume)? See the standby's log.",
            )
        _insist_on_refusal(setup)
    finally:
        with suppress(Unreachable):
            setup.primary.attempt_sql(f"DROP TABLE IF EXISTS {TABLE}")
    mark = setup.mark(setup.live)
    assert mark is not None
    proven = mark.model_copy(update={"proven": datetime.now(UTC)})
    write_mark(setup.standby.host, setup.live, setup.standby.os_user, proven)
    return f"row {token} was written on {setup.primary} and read on {setup.standby}"


def is_proven(setup: StandbySetup) -> bool:
    """Tell whether this copy has been proven, by whichever run."""
    mark = setup.mark(setup.live)
    return mark is not None and mark.proven is not None


def within_patience(holds: Callable[[], bool], seconds: float) -> bool:
    """Look again and again for so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _change(setup: StandbySetup, sql: str) -> None:
    done = setup.primary.attempt_sql(sql)
    if done.exit_code != 0:
        raise CommandFailed(f"{setup.primary} refuses: {sql}", detail=done.stderr.strip())


def _read(setup: StandbySetup) -> str:
    done = setup.standby.attempt_sql(f"SELECT token FROM {TABLE}")
    return done.stdout.strip() if done.exit_code == 0 else ""


def _insist_on_refusal(setup: StandbySetup) -> None:
    done = setup.standby.attempt_sql(f"CREATE TABLE {TABLE}_refused ()")
    if done.exit_code == 0:
        setup.standby.attempt_sql(f"DROP TABLE IF EXISTS {TABLE}_refused")
        raise CheckFailed(
            f"{setup.standby} accepts writes",
            hint="Two servers are writable: stop the applications, and find out why.",
        )
