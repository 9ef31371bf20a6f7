"""What a restore wrote down at the database itself: of which backup it is, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runbook.actions import Action, Execute
from runbook.components.statements import identifier, literal
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.places import Live

State = Literal["loading", "whole", "loaded", "done", "superseded"]

_SETTING = "pg_runbooks.orchestrator"
_READ = """
SELECT d.datname AS name, substr(c, {begin}) AS text FROM pg_catalog.pg_database AS d
JOIN pg_catalog.pg_db_role_setting AS s ON s.setdatabase = d.oid AND s.setrole = 0,
     unnest(s.setconfig) AS c
WHERE c LIKE '{setting}=%'
"""
_BOOT = "/proc/sys/kernel/random/boot_id"
_FIELDS = 4


class Mark(BaseModel):
    """How far a restore is that a database is of.

    `loading`: begun; `whole`: its load has ended well, and was compared; `loaded`: proven, and may
    live on; `done`: at its end; `superseded`: another is on its way. It is a setting of the
    database, which nobody else reads: it goes wherever that one is renamed to, and one that
    somebody has made since under the same name has none. `boot` is when /tmp was last refreshed.
    """

    model_config = ConfigDict(frozen=True)
    backup: str = Field(pattern="^[0-9]{14}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of the archive.")
    state: State
    boot: str = ""

    @property
    def told(self) -> str:
        """Give backup and state, for people."""
        return f"backup {self.backup}, {self.state}"

    def __str__(self) -> str:
        return f"{self.backup}:{self.sha256}:{self.state}:{self.boot}"

    @classmethod
    def parsed(cls, text: str) -> Mark | None:
        """Give the mark that a text is; None where it is none."""
        words = text.split(":")
        if len(words) != _FIELDS:
            return None
        named = dict(zip(("backup", "sha256", "state", "boot"), words, strict=True))
        try:
            return cls.model_validate(named)
        except ValidationError:
            return None


@dataclass(frozen=True)
class Marked:
    """The mark of an Orchestrator's database, and of those that were set aside."""

    live: Live

    def all(self) -> dict[str, Mark]:
        """Give the marks of all databases, by their names."""
        rows = self.live.node.ask(_READ.format(begin=len(_SETTING) + 2, setting=_SETTING))
        read = {str(row["name"]): Mark.parsed(str(row["text"])) for row in rows}
        return {name: mark for name, mark in read.items() if mark is not None}

    def read(self) -> Mark | None:
        """Give the mark of the database that bears the name now, if there is one."""
        return self.all().get(self.live.settings.database)

    def says(self, backup: OrchestratorBackup, *states: State) -> bool:
        """Tell whether it is marked with one of these states of a backup's restore."""
        mark = self.read()
        known = (backup.id, backup.sha256)
        return mark is not None and (mark.backup, mark.sha256) == known and mark.state in states

    def is_of_this_boot(self) -> bool:
        """Tell whether the host has not been started again since the restore came to its end."""
        mark = self.read()
        return mark is not None and bool(mark.boot) and mark.boot == self._boot()

    def writing(self, backup: OrchestratorBackup, state: State) -> Action:
        """Give what marks the database."""
        boot = self._boot() if state == "done" else ""
        return self._set(Mark(backup=backup.id, sha256=backup.sha256, state=state, boot=boot))

    def superseding(self) -> tuple[Action, ...]:
        """Give what takes back that the database is that of a backup, before another comes."""
        mark = self.read()
        if mark is None or mark.state == "superseded":
            return ()
        return (self._set(mark.model_copy(update={"state": "superseded"})),)

    def _set(self, mark: Mark) -> Action:
        node, name = self.live.node, identifier(self.live.settings.database)
        sql = f"ALTER DATABASE {name} SET {_SETTING} TO {literal(str(mark))}"
        return Execute(node.console, node.statement(sql))

    def _boot(self) -> str:
        return self.live.node.host.content(_BOOT, user=self.live.settings.user).strip()
