"""Settings that decide whether a standby can be the primary, and whether others can follow it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from runbook.postgres import Node

AT_LEAST = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
"""A standby pauses its replay when one of these is smaller than on its primary."""

_IN_CATALOG = ("global", "database", "user", "database user")

_SETTINGS = f"""
SELECT {", ".join(f"current_setting('{name}')::int AS {name}" for name in AT_LEAST)},
  current_setting('max_replication_slots')::int AS max_replication_slots,
  current_setting('synchronous_standby_names') AS synchronous_standby_names,
  (SELECT source FROM pg_catalog.pg_settings
   WHERE name = 'default_transaction_read_only' AND setting = 'on') AS read_only,
  (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'recovery_min_apply_delay')
    AS apply_delay,
  current_setting('archive_mode') AS archive_mode,
  current_setting('archive_command', true) AS archive_command,
  current_setting('archive_library', true) AS archive_library,
  current_setting('data_checksums')::bool OR current_setting('wal_log_hints')::bool AS rewindable,
  (SELECT count(*) FROM pg_catalog.pg_stat_progress_basebackup) AS backups
"""


class Readiness(BaseModel):
    """What a server's settings say; `apply_delay` in milliseconds, `backups` run there now.

    `read_only` tells what sets default_transaction_read_only, where it is on.
    """

    model_config = ConfigDict(frozen=True)
    max_connections: int
    max_worker_processes: int
    max_wal_senders: int
    max_prepared_transactions: int
    max_locks_per_transaction: int
    max_replication_slots: int
    synchronous_standby_names: str
    read_only: str | None
    apply_delay: int
    archive_mode: str
    archive_command: str | None
    archive_library: str | None
    rewindable: bool
    backups: int

    @property
    def reads_by_catalog(self) -> bool:
        """Tell whether sessions only read by what all servers of a cluster share.

        Only the primary can change that: a standby has it until it is promoted.
        Ref.: PostgreSQL 16, pg_settings.source; ALTER ROLE; ALTER DATABASE
        """
        return self.read_only in _IN_CATALOG

    @property
    def archiving(self) -> str:
        """Tell where this server would archive its WAL as a primary."""
        if self.archive_mode == "off":
            return "off"
        how = self.archive_library or self.archive_command or "neither command nor library"
        return f"{self.archive_mode}: {how}"

    def smaller_than(self, other: Readiness) -> tuple[str, ...]:
        """Name the limits that are smaller here than there."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in AT_LEAST)
        return tuple(f"{name} {mine} < {theirs}" for name, mine, theirs in pairs if mine < theirs)


def readiness(nodes: Iterable[Node]) -> Mapping[str, Readiness]:
    """Ask several running servers at once, by node name."""
    asked = tuple(nodes)
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        rows = pool.map(lambda node: node.ask(_SETTINGS)[0], asked)
        return {
            node.name: Readiness.model_validate(row) for node, row in zip(asked, rows, strict=True)
        }


def synchronous_shortfall(setting: str, connected: Iterable[str]) -> int:
    """Count the standbys that commits would wait for and that would not be there.

    `setting` is synchronous_standby_names: `a, b`, `FIRST 2 (a, b)`, `ANY 1 (*)`.
    """
    text = setting.strip()
    if not text:
        return 0
    counted = re.fullmatch(r"(?:(?:FIRST|ANY)\s+)?(\d+)\s*\((.*)\)", text, re.I | re.S)
    needed, names = (int(counted[1]), counted[2]) if counted else (1, text)
    wanted = {name.strip().strip('"').lower() for name in names.split(",")}
    there = [name for name in connected if "*" in wanted or name.lower() in wanted]
    return max(0, needed - len(there))
