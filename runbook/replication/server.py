"""What one running server says of its part in replication."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from runbook.postgres import Node
from runbook.units import Lsn

# The control file learns of a promotion with the next checkpoint, on a standby with the next
# restart point; the names of WAL files know it at once.
_LOOK = """
SELECT pg_catalog.pg_is_in_recovery() AS in_recovery,
  (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system_identifier,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN greatest((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
                  (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
                  (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),
                  (SELECT max(('x' || substr(name, 1, 8))::bit(32)::int)
                   FROM pg_catalog.pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))
    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
         )::bit(32)::int END AS timeline,
  CASE WHEN NOT pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_current_wal_flush_lsn()::text END AS written,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_receive_lsn()::text END AS received,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn()::text END AS replayed,
  CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_is_wal_replay_paused() ELSE false END AS replay_paused,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN
    extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8
    END AS replay_age,
  (SELECT row_to_json(r) FROM (
    SELECT status, sender_host, sender_port, slot_name FROM pg_catalog.pg_stat_wal_receiver) r
  ) AS receiver
"""

_SENDERS = """
SELECT application_name AS name, host(client_addr) AS address, state, sync_state,
       sent_lsn::text AS sent, replay_lsn::text AS replayed
FROM pg_catalog.pg_stat_replication
WHERE state <> 'backup' ORDER BY application_name
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Receiver(_Value):
    """A standby's WAL receiver: its status and the server it receives from."""

    status: str
    sender_host: str | None
    sender_port: int | None
    slot_name: str | None


class Sender(_Value):
    """A primary's WAL sender: the standby's name, where it is, and how far it has come.

    `state` is streaming, catchup or startup; `sync_state` async, sync, potential or quorum.
    """

    name: str
    address: str | None
    state: str
    sync_state: str
    sent: Lsn | None
    replayed: Lsn | None


class ServerState(_Value):
    """Role, timeline and positions of a running server, as it says itself.

    `written` is where a primary has flushed its WAL; `received` and `replayed` are a standby's.
    `replay_age` is the age of the last replayed transaction in seconds, on a standby that has
    replayed one since it was started; on a quiet primary it grows although nothing is missing.
    """

    in_recovery: bool
    system_identifier: str
    timeline: int
    written: Lsn | None = None
    received: Lsn | None = None
    replayed: Lsn | None = None
    replay_paused: bool = False
    replay_age: float | None = None
    receiver: Receiver | None = None

    @property
    def reached(self) -> Lsn:
        """Give the end of the WAL that this server has, received or restored or written."""
        known = [lsn for lsn in (self.written, self.received, self.replayed) if lsn is not None]
        return max(known, default=Lsn(0))

    @property
    def streams(self) -> bool:
        """Tell whether WAL is being received."""
        return self.receiver is not None and self.receiver.status == "streaming"


def look(node: Node) -> ServerState:
    """Ask a running server; Unreachable when it does not answer."""
    return ServerState.model_validate(node.ask(_LOOK, timeout=20)[0])


def senders(node: Node) -> tuple[Sender, ...]:
    """Ask a server which standbys it sends WAL to; backups do not count."""
    return tuple(Sender.model_validate(row) for row in node.ask(_SENDERS))
