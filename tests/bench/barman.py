"""Barman as a peer: backup_method=postgres, compressed by the server, WAL streamed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import commands
from tests.bench.bed import Bed
from tests.lab import processes
from tests.lab.errors import LabError

_SETTINGS = """\
[barman]
barman_home = {folder}/home
barman_lock_directory = {folder}
barman_user = postgres
log_file = {folder}/barman.log
log_level = WARNING

[bench]
description = bench
conninfo = {login} dbname=postgres
streaming_conninfo = {login}
path_prefix = {node.bin_directory}
backup_method = postgres
backup_options = concurrent_backup
backup_compression = zstd
backup_compression_level = 1
backup_compression_workers = 2
backup_compression_location = server
immediate_checkpoint = true
streaming_archiver = on
slot_name = barman
create_slot = auto
"""


@dataclass(frozen=True)
class Barman:
    """A server named bench. Ref.: https://docs.pgbarman.org"""

    bed: Bed
    folder: Path

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Receive WAL for a block, without which Barman takes no backup."""
        commands.folder(self.folder)
        node = self.bed.node
        login = f"host={node.host.address} port={node.port} user=postgres"
        text = _SETTINGS.format(folder=self.folder, node=node, login=login)
        (self.folder / "barman.conf").write_text(text)
        receiver = self._receiver()
        try:
            self._run("switch-wal", "--force", "--archive", "bench")
            with self.bed.serving(receiver.pid):
                yield
        finally:
            processes.end([*processes.children(receiver.pid), receiver.pid])
            receiver.wait()
            free = "SELECT count(*) = 0 FROM pg_replication_slots WHERE active"
            processes.until(lambda: node.psql(free) == "t", "Barman's slot is free")
            node.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")

    def backup(self) -> None:
        """Take a backup; LabError with Barman's own findings when it will not."""
        try:
            self._run("backup", "bench")
        except LabError as error:
            raise LabError(str(error), detail=self._findings()) from error

    def remove(self) -> None:
        """Remove the newest backup, also one that Barman does not yet call its latest.

        It does not while WAL of the backup has not been archived.
        """
        listed = commands.run(self._argv("list-backups", "bench", "--minimal"), user="postgres")
        for newest in listed.split()[:1]:
            self._run("delete", "bench", newest)

    def version(self) -> str:
        """Tell the version."""
        return commands.run(("barman", "--version")).split()[0]

    @property
    def made(self) -> Path:
        """Give the folder of the backups."""
        return self.folder / "home" / "bench" / "base"

    def _findings(self) -> str:
        check = subprocess.run(
            self._argv("check", "bench"),
            user="postgres",
            group="postgres",
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        return check.stdout + (self.folder / "barman.log").read_text()[-1000:]

    def _receiver(self) -> subprocess.Popen[bytes]:
        with (self.folder / "receiver.log").open("wb") as log:
            receiver = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *self._argv("receive-wal", "bench")),
                user="postgres",
                group="postgres",
                extra_groups=[],
                env=processes.environment("postgres", self.bed.lab.name, {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        node = self.bed.node
        receiving = (
            "SELECT count(*) > 0 FROM pg_stat_replication WHERE application_name ~ 'receive'"
        )
        processes.until(lambda: node.psql(receiving) == "t", "Barman receives WAL", within=60)
        return receiver

    def _argv(self, *words: str) -> tuple[str, ...]:
        return ("barman", "-c", f"{self.folder}/barman.conf", *words)

    def _run(self, *words: str) -> None:
        commands.run(self._argv(*words), user="postgres")
