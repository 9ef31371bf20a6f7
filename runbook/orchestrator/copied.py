"""The copy of a backup on the new Orchestrator, packed and unpacked, for the time of a restore."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from runbook.actions import Action, Execute, Work
from runbook.errors import Damaged
from runbook.hosts import Command
from runbook.orchestrator.archive import Contents, Passing, read_through
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.dump_reading import dump_text
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.places import Live, Places
from runbook.orchestrator.storing import read_back
from runbook.run import current

_RETIRED = "retired"
_NOTE = 'umask 077; echo "$2" >"$1"; sync -- "$1"'
_UNPACK = 'umask 077; tar -xzf "$2" -C "$1"'


@dataclass(frozen=True)
class Copied:
    """A backup's archive and its members, in a folder of their own that nobody else may read."""

    places: Places
    backup: OrchestratorBackup

    @property
    def live(self) -> Live:
        """Give the new Orchestrator."""
        return self.places.live

    @property
    def folder(self) -> str:
        """Give the folder."""
        return f"{self.live.directory}/restore-{self.backup.id}"

    @property
    def archive(self) -> str:
        """Give the path of the archive."""
        return f"{self.folder}/{self.backup.archive}"

    @property
    def dump(self) -> str:
        """Give the path of the dump, unpacked."""
        return f"{self.folder}/{self.backup.dump}"

    @property
    def configuration(self) -> str:
        """Give the path of the cluster configuration, unpacked."""
        return f"{self.folder}/{self.backup.configuration}"

    @cached_property
    def sums(self) -> dict[str, str]:
        """Give the SHA-256 of each member, as the record has it."""
        return {member.name: member.sha256 for member in self.backup.members}

    @cached_property
    def text(self) -> DumpText:
        """Read the dump in the archive: its tables, and how many rows it brings to each."""
        return dump_text(self.live, self.archive, self.backup.dump)

    def read(self) -> Contents:
        """Read the stored archive to its last byte; Damaged unless it is what the record says."""
        vault, backup = self.places.vault, self.backup
        where = vault.key(backup.id, backup.archive)
        passing = Passing(vault.store.read(where))
        contents = read_through(passing)
        if (passing.size, passing.sha256) != (backup.size, backup.sha256):
            raise Damaged(
                f"{where} in {vault.store} is not what its record says",
                detail=f"{passing.size} bytes with SHA-256 {passing.sha256}",
                hint="Name an older backup; nothing was changed.",
            )
        contents.configuration(backup.configuration)
        return contents

    def is_there(self) -> bool:
        """Tell whether the archive lies there, with the record's SHA-256."""
        return self.sum(self.archive) == self.backup.sha256

    def is_unpacked(self) -> bool:
        """Tell whether dump and configuration lie there, each with the record's SHA-256."""
        wanted = {self.dump: self.backup.dump, self.configuration: self.backup.configuration}
        return all(self.sum(path) == self.sums[name] for path, name in wanted.items())

    def all(self) -> tuple[str, ...]:
        """Name the folders of restores on the new Orchestrator: of this backup, and of others."""
        if not self.live.may("test", "-d", self.live.directory):
            return ()
        where = (self.live.directory, "-mindepth", "1", "-maxdepth", "1", "-type", "d")
        name = "restore-" + "[0-9]" * 14
        argv = ("find", "-H", *where, "-name", name, "-printf", "%p\\0")
        user = self.live.settings.user
        done = self.live.node.host.run(Command(argv, user=user, directory="/", timeout=60))
        return tuple(sorted(done.stdout.split("\0")[:-1]))

    def others(self) -> tuple[str, ...]:
        """Name the folders that killed restores of other backups have left."""
        return tuple(path for path in self.all() if path != self.folder)

    def clearing_others(self) -> tuple[Action, ...]:
        """Give what removes them: they hold secrets, and take room."""
        return (self._remove(self.others()),)

    def copying(self) -> tuple[Action, ...]:
        """Give what copies the archive there."""
        vault = self.places.vault
        line = f"copy {vault}/{self.backup.id}/{self.backup.archive} to {self.archive}"
        return (Work(self.live.node.host.name, line, self._copy),)

    def unpacking(self) -> tuple[Action, ...]:
        """Give what unpacks it beside itself."""
        argv = ("sh", "-c", _UNPACK, "unpack", self.folder, self.archive)
        command = Command(
            argv, user=self.live.settings.user, timeout=self.live.settings.limit_seconds
        )
        shown = f"tar -xzf {self.archive} -C {self.folder}"
        return (Execute(self.live.node.host, command, shown=shown),)

    def removing(self) -> Action:
        """Give what removes it all."""
        return self._remove((self.folder,))

    def noted(self) -> str:
        """Give the system that an interrupted run has seen at work as the old Orchestrator."""
        path = f"{self.folder}/{_RETIRED}"
        return self.live.node.host.content(path, user=self.live.settings.user).strip()

    def noting(self, system: str) -> Action:
        """Give what writes that down, before it is stopped."""
        path = f"{self.folder}/{_RETIRED}"
        argv = ("sh", "-c", _NOTE, "note", path, system)
        command = Command(argv, user=self.live.settings.user, timeout=60)
        return Execute(self.live.node.host, command, shown=f"echo {system} >{path}")

    def sum(self, path: str) -> str:
        """Give the SHA-256 of a file there; empty where there is none."""
        argv = ("sha256sum", "--", path)
        done = self.live.node.host.ask(
            Command(argv, user=self.live.settings.user, timeout=self.live.settings.limit_seconds)
        )
        return done.stdout.lstrip("\\")[:64] if done.exit_code == 0 else ""

    def secrets(self) -> str:
        """Give the text of the configuration in the archive, which no word may be told of."""
        argv = ("tar", "-xzOf", self.archive, "--", self.backup.configuration)
        done = self.live.node.host.ask(
            Command(argv, user=self.live.settings.user, timeout=self.live.settings.limit_seconds)
        )
        return done.stdout if done.exit_code == 0 else ""

    def _copy(self) -> str:
        vault, folder = self.places.vault, self.places.workshop.folder
        key = f"restore-{self.backup.id}/{self.backup.archive}"
        folder.remove([key])
        with folder.upload(key, size_hint=self.backup.size) as upload:
            for piece in vault.store.read(vault.key(self.backup.id, self.backup.archive)):
                current().go_on()
                upload.write(piece)
            upload.commit()
        read_back(folder, key, self.backup.size, self.backup.sha256)
        return self.archive

    def _remove(self, folders: tuple[str, ...]) -> Action:
        argv = ("rm", "-rf", "--", *folders)
        command = Command(argv, user=self.live.settings.user, timeout=300)
        return Execute(self.live.node.host, command)
