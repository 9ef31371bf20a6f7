"""Settings of the primary without which no standby can follow."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from runbook.actions import Action, Execute
from runbook.postgres import Node

_SETTINGS = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('max_wal_senders')::int AS max_wal_senders,
       current_setting('max_replication_slots')::int AS max_replication_slots,
       current_setting('listen_addresses') AS listen_addresses,
       current_setting('max_slot_wal_keep_size') AS max_slot_wal_keep_size,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication)::int AS senders,
       (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS slots
"""

# pg_basebackup takes two connections for its time, the standby one for good.
_SENDERS = 3
# pg_basebackup makes a temporary slot beside the standby's own.
_SLOTS = 2
_LOOPBACK = {"", "localhost", "127.0.0.1", "::1"}


class Settings(BaseModel):
    """What a server has, and how much of it is used."""

    model_config = ConfigDict(frozen=True)
    wal_level: str
    max_wal_senders: int
    max_replication_slots: int
    listen_addresses: str
    max_slot_wal_keep_size: str
    senders: int
    slots: int

    def lacking(self, address: str) -> Mapping[str, str]:
        """Name the settings that do not suffice for one more standby, with what would.

        Each of them needs a restart.
        """
        wanted: dict[str, str] = {}
        if self.wal_level == "minimal":
            wanted["wal_level"] = "replica"
        if self.max_wal_senders < self.senders + _SENDERS:
            wanted["max_wal_senders"] = str(max(10, self.senders + _SENDERS))
        if self.max_replication_slots < self.slots + _SLOTS:
            wanted["max_replication_slots"] = str(max(10, self.slots + _SLOTS))
        listened = {part.strip() for part in self.listen_addresses.split(",")}
        if listened <= _LOOPBACK and address not in listened:
            wanted["listen_addresses"] = "*"
        return wanted

    @property
    def slot_limit(self) -> str:
        """Tell how much WAL a slot keeps for a standby that is away."""
        if self.max_slot_wal_keep_size == "-1":
            return (
                "unlimited (max_slot_wal_keep_size = -1): while the standby is away the primary "
                "keeps all WAL, until its disk is full. To limit it: "
                "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB', and reload"
            )
        return (
            f"at most {self.max_slot_wal_keep_size} (max_slot_wal_keep_size): a standby that is "
            "away for longer must be copied again"
        )


def settings(node: Node) -> Settings:
    """Ask a server."""
    return Settings.model_validate(node.ask(_SETTINGS)[0])


def change(node: Node, wanted: Mapping[str, str]) -> tuple[Action, ...]:
    """Write the settings, and restart the server in one command.

    Ref.: PostgreSQL documentation, ALTER SYSTEM
    """
    written = tuple(
        Execute(node.console, node.statement(f"ALTER SYSTEM SET {name} = '{value}'"))
        for name, value in wanted.items()
    )
    restart = node.service.restart(node)
    return (*written, Execute(node.host, restart, shown=node.service.restart_shown(node)))
