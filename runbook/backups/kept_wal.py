"""The WAL of a running backup, kept by its server until the backup has it.

It comes at the end; a busy server would have recycled it by then. A slot of a second connection
keeps it, as pg_basebackup's does: made when the backup has begun, so that nothing older is kept,
and of a connection of its own, so that its end is not the backup's.
Ref.: PostgreSQL documentation, max_slot_wal_keep_size; pg_basebackup, --no-slot
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.postgres import Node
from runbook.postgres.login import replication
from runbook.stream.base_backup import identify, keep_wal
from runbook.stream.replication import Replication
from runbook.watch import log

_IDLE_SECONDS = 60
"""A worker that the network has lost stops keeping WAL after so long."""
_EVERY_SECONDS = 10.0
_ANSWER_SECONDS = 10.0
"""A silent server must not hold up the backup, whose own connection may live."""


class KeptWal:
    """A temporary slot from `begin` to `close`; `problem` tells why there is none."""

    def __init__(self, node: Node, cluster: Cluster) -> None:
        self._node, self._cluster = node, cluster
        self._stack = ExitStack()
        self._connection: Replication | None = None
        self._heard = 0.0
        self.problem = ""

    def close(self) -> None:
        """Let the WAL go; harmless without a slot."""
        self._stack.close()

    def begin(self) -> None:
        """Make the slot; a server that has none to give is backed up without one."""
        settings = {"idle_session_timeout": f"{_IDLE_SECONDS}s"}
        try:
            opened = replication(self._node, self._cluster, settings)
            self._connection = self._stack.enter_context(opened)
            keep_wal(self._connection, _ANSWER_SECONDS)
        except RunbookError as error:
            self._lose(error)
        self._heard = time.monotonic()

    def renew(self) -> None:
        """Let the server hear of us, which it does not wait for longer than a minute."""
        if self._connection is None or time.monotonic() - self._heard < _EVERY_SECONDS:
            return
        try:
            identify(self._connection, _ANSWER_SECONDS)
        except RunbookError as error:
            self._lose(error)
        self._heard = time.monotonic()

    def _lose(self, error: RunbookError) -> None:
        self.problem = error.message
        log.warning("nothing keeps the WAL of this backup on %s: %s", self._node, error.message)
        self._connection = None
        self._stack.close()
