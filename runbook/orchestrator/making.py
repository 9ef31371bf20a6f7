"""An archive of the Orchestrator on its way into being, in a folder of its own on its host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.errors import RunbookError
from runbook.hosts import Command
from runbook.orchestrator.archive import damaged
from runbook.orchestrator.backup import ARCHIVE, Way
from runbook.orchestrator.places import Places
from runbook.orchestrator.vendor import Vendor
from runbook.run import current
from runbook.tools import orchestrator_cli, pg_dump
from runbook.units import readable_bytes
from runbook.watch import log

_SQL = "orchestrator.sql"
_STAMP = "<YYYYmmddHHMMSS>"
_NOT_KNOWN = "The automated backup came with Orchestrator 0.5.3; older ones: way manual."


@dataclass
class Making:
    """Makes the archive of a run; `stamp` is the backup's id."""

    places: Places
    way: Way
    run_id: str
    stamp: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    archive: str = field(default="", init=False)
    """Its file name, once it is made."""

    @property
    def folder(self) -> str:
        """Give the run's own folder on the Orchestrator."""
        return self.places.workshop.own(self.run_id)

    @property
    def is_made(self) -> bool:
        """Tell whether the archive lies on the Orchestrator."""
        path = f"{self.folder}/{self.archive}"
        return bool(self.archive) and self.places.live.may("test", "-s", path)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does: a line each that a person would type."""
        return tuple(self._line(command) for command in self._commands())

    @contextmanager
    def removed_unless_well(self) -> Iterator[None]:
        """Remove what there is of the backup when the block does not end well, whatever ends it."""
        try:
            yield
        except BaseException:
            if not current().planning:
                try:
                    self._remove()
                except RunbookError as error:
                    log.warning("%s stays behind, the next run clears it: %s", self.folder, error)
            raise

    def _remove(self) -> None:
        self.places.workshop.clear(self.run_id)
        vault = self.places.vault
        for files in vault.leftovers():
            if files.id == self.stamp:
                vault.clear(files)

    def _commands(self) -> tuple[Command, ...]:
        live = self.places.live
        if self.way == "automated":
            settings = live.settings
            return (
                orchestrator_cli.backup(
                    settings.program, config=settings.config, user=settings.user
                ),
            )
        configuration = live.settings.config
        copied = configuration.rpartition("/")[2]
        stamp = _STAMP if current().planning else self.stamp
        name = f"orchestrator_manual_{stamp}.tgz"
        user = live.settings.user
        return (
            pg_dump.plain(
                live.node.program("pg_dump"),
                _SQL,
                user=user,
                role=live.settings.database_user,
                port=live.node.port,
                socket=live.node.socket_directory,
                database=live.settings.database,
            ),
            Command(("cp", "--", configuration, copied), user=user, leashed=True),
            Command(("tar", "-czf", name, "--", _SQL, copied), user=user, leashed=True),
        )

    def _line(self, command: Command) -> Action:
        shown = str(self._vendor.action(command))
        return Work(self.places.live.node.host.name, shown, lambda: self._run(command))

    @property
    def _vendor(self) -> Vendor:
        return Vendor(self.places.live, self.folder)

    def _run(self, command: Command) -> str:
        self._vendor.run(command, _NOT_KNOWN if self.way == "automated" else "")
        return self._look(command)

    def _look(self, done: Command) -> str:
        """Find the archive, after the command that should have written it."""
        if done != self._commands()[-1]:
            return f"{done.argv[0].rpartition('/')[2]} has ended well"
        workshop = self.places.workshop
        own = workshop.key(self.run_id, "")
        files = [info for info in workshop.folder.list(own) if ARCHIVE.fullmatch(_file(info.key))]
        if len(files) != 1 or not files[0].size:
            names = ", ".join(f"{_file(info.key)} of {info.size} bytes" for info in files)
            program = done.argv[0].rpartition("/")[2]
            raise damaged(
                f"{program} ended with exit code 0, and {self.folder} has {names or 'no archive'}"
            )
        self.archive = _file(files[0].key)
        return f"{self.archive}: {readable_bytes(files[0].size)}"


def _file(key: str) -> str:
    return key.rpartition("/")[2]
