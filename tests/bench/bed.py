"""The test bed: servers with data, folders for what is made, and settings for our runbooks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rich.console import Console

from tests.bench import commands, scale
from tests.bench.scale import Scale
from tests.bench.trash import Trash
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode

_SETTINGS = {
    "fsync": "on",
    "autovacuum": "off",
    "log_statement": "none",
    "log_connections": "off",
    "log_replication_commands": "off",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


@dataclass(eq=False)
class Bed:
    """Everything the measurements share. Servers are made at their first use."""

    lab: LoopbackLab
    scale: Scale
    console: Console
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, 64))
    _nodes: dict[str, PostgresNode] = field(default_factory=dict)
    _counts: dict[str, str] = field(default_factory=dict)
    _more_servers: list[int] = field(default_factory=list)

    @cached_property
    def trash(self) -> Trash:
        """Give the place for what is not needed any more."""
        return Trash(self.root / "trash")

    @property
    def node(self) -> PostgresNode:
        """Give the server with the data set that was asked for."""
        return self.node_of(self.scale)

    def node_of(self, wanted: Scale) -> PostgresNode:
        """Give the server with a data set."""
        if wanted.name not in self._nodes:
            self._nodes[wanted.name] = self._made(wanted)
        return self._nodes[wanted.name]

    def servers(self) -> list[int]:
        """List the processes that work for what is measured, beside our children."""
        pids = [node.pid for node in self._nodes.values()]
        return [pid for pid in pids if pid is not None] + self._more_servers

    @contextmanager
    def serving(self, pid: int) -> Iterator[None]:
        """Count a process among the servers for a block."""
        self._more_servers.append(pid)
        try:
            yield
        finally:
            self._more_servers.remove(pid)

    def folder(self, name: str) -> Path:
        """Give an empty folder that belongs to postgres."""
        return commands.folder(self.root / name)

    @property
    def root(self) -> Path:
        """Give the folder of all folders; it goes with the lab."""
        return self.lab.directory / "bench"

    def checkpoint(self, node: PostgresNode) -> None:
        """Leave nothing that a backup would have to wait for."""
        node.psql("CHECKPOINT")

    def insist_on_rows(self, node: PostgresNode) -> None:
        """Insist that the server holds the data it was given, and takes writes."""
        now = scale.counts(node)
        if now != self._counts[node.name]:
            raise AssertionError(f"rows differ: {now} instead of {self._counts[node.name]}")
        if node.psql("SELECT pg_is_in_recovery()") != "f":
            raise AssertionError(f"{node.name} is in recovery")

    def _made(self, wanted: Scale) -> PostgresNode:
        self.console.print(f"Making the data set {wanted.name} ...", style="dim")
        settings = {**_SETTINGS, "shared_buffers": wanted.shared_buffers}
        node = self.lab.postgres(wanted.name, authentication="trust", settings=settings)
        with commands.timed() as clock:
            scale.load(node, wanted)
        commands.pipe('find "$1" -type f -exec cat {} + >/dev/null', node.data_directory)
        self._counts[node.name] = scale.counts(node)
        size = scale.size(node) / 1e6
        self.console.print(f"  {size:.0f} MB in {clock.seconds:.0f} s", style="dim")
        return node
