"""What a running server says of its archiver, its WAL, its transactions and its directories."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from runbook.postgres.node import Node

# A standby archives only with archive_mode = always; ages belong to the primary.
_ASK = """
SELECT current_setting('data_directory') AS directory,
  current_setting('archive_mode') AS archive_mode,
  coalesce(nullif(current_setting('archive_library', true), ''),
           current_setting('archive_command')) AS archive_command,
  (SELECT row_to_json(a) FROM (
    SELECT archived_count, failed_count, last_archived_time, last_failed_time, last_failed_wal
    FROM pg_catalog.pg_stat_archiver) a) AS archiver,
  (SELECT count(*) FROM pg_catalog.pg_ls_archive_statusdir() WHERE name LIKE '%.ready')
    AS archive_backlog,
  (SELECT coalesce(sum(size), 0)::int8 FROM pg_catalog.pg_ls_waldir()) AS wal_size,
  coalesce((SELECT extract(epoch FROM clock_timestamp() - min(began))::float8 FROM (
    SELECT xact_start AS began FROM pg_catalog.pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
    UNION ALL SELECT prepared FROM pg_catalog.pg_prepared_xacts) AS open), 0)
    AS oldest_transaction,
  (SELECT max(greatest(age(datfrozenxid), mxid_age(datminmxid))) FROM pg_catalog.pg_database)
    AS frozen_age,
  ARRAY(SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace
        WHERE pg_catalog.pg_tablespace_location(oid) <> '') AS tablespaces
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Archiver(_Value):
    """pg_stat_archiver."""

    archived_count: int
    failed_count: int
    last_archived_time: datetime | None
    last_failed_time: datetime | None
    last_failed_wal: str | None

    @property
    def fails(self) -> bool:
        """Tell whether the last attempt failed."""
        if self.last_failed_time is None:
            return False
        return self.last_archived_time is None or self.last_failed_time > self.last_archived_time


class Vitals(_Value):
    """Numbers of one server: `wal_size` in bytes, `oldest_transaction` in seconds.

    `archive_backlog` counts WAL files that are ready and not archived; `frozen_age` counts
    transactions since the oldest database was frozen.
    """

    directory: str
    archive_mode: str
    archive_command: str
    archiver: Archiver
    archive_backlog: int
    wal_size: int
    oldest_transaction: float
    frozen_age: int
    tablespaces: tuple[str, ...]

    def archives(self, *, in_recovery: bool) -> bool:
        """Tell whether this server archives WAL in its role."""
        return self.archive_mode == "always" or (self.archive_mode == "on" and not in_recovery)


def vitals(node: Node) -> Vitals:
    """Ask a running server; Unreachable when it does not answer."""
    return Vitals.model_validate(node.ask(_ASK)[0])
