"""One component database on its way back from its dump, and how far that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from runbook.actions import Action, Execute
from runbook.components import statements
from runbook.components.dump import DUMP, DatabaseDump
from runbook.components.places import Keeper
from runbook.components.standing import (
    Mark,
    Standing,
    aside_name,
    incoming_name,
    is_incoming,
    stamp_of,
    standing,
)
from runbook.errors import CheckFailed, RunbookError
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.run import current
from runbook.tools import pg_restore, psql
from runbook.watch import log

_STAMP = "YYYYmmddHHMMSS"
_HOURS = 24 * 3600.0
_OBJECTS = "SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384"


@dataclass(frozen=True)
class ComponentRestore:
    """A dump that lies, or will lie, in the primary's folder; `again`: although it is in place."""

    keeper: Keeper
    dump: DatabaseDump
    jobs: int
    again: bool

    def __str__(self) -> str:
        return self.dump.name

    @property
    def node(self) -> Node:
        """Give the primary."""
        return self.keeper.server.node

    @property
    def database(self) -> str:
        """Name the database."""
        return self.dump.database

    @property
    def path(self) -> str:
        """Give the archive on the primary."""
        key = self.keeper.catalogue.key(self.database, self.dump.id, DUMP)
        return f"{self.keeper.directory}/{key}"

    def standing(self) -> Standing | None:
        """Give the database that has its name now."""
        return standing(self.node).get(self.database)

    def in_place(self) -> bool:
        """Tell whether the database is already this dump, restored."""
        now = self.standing()
        if now is None or now.mark is None or now.mark.dump != self.dump.id:
            return False
        return not self.again or not now.mark.is_finished or now.mark.run_id == current().id

    def is_closed(self) -> bool:
        """Tell whether the restore has come to its end."""
        now = self.standing()
        return now is not None and now.mark is not None and now.mark.is_finished

    def incoming(self) -> str:
        """Name the database that this dump stands loaded in, whole and checked; empty: none."""
        for one in self._made():
            if one.mark and (one.mark.dump, one.mark.stage) == (self.dump.id, "ready"):
                return one.name
        return ""

    def loaded(self) -> list[Standing]:
        """List what stands loaded whole, of this dump or another."""
        return [one for one in self._made() if one.mark and one.mark.stage == "ready"]

    def is_ready(self) -> bool:
        """Tell whether the dump is in place, or stands loaded beside the old database."""
        return self.in_place() or bool(self.incoming())

    def loading(self) -> tuple[Action, ...]:
        """Give the actions that load the dump into a new database."""
        planning = current().planning
        stamp = _STAMP if planning else f"{datetime.now(UTC):%Y%m%d%H%M%S}"
        name = incoming_name(self.database, stamp)
        if not planning:
            current().memory[f"began {self}"] = name
        made = self.dump.properties
        load = pg_restore.load(
            self.node.program("pg_restore"),
            self.path,
            user=self.node.server_user,
            port=self.node.port,
            socket=self.node.socket_directory,
            database=name,
            jobs=self.jobs,
        )
        return (
            *self.clearing(),
            self._sql(statements.creating(name, made)),
            self._sql(self._marking(name, "loading")),
            Execute(self.node.console, load),
            self._sql("ANALYZE", database=name),
            self._dressing(name),
        )

    def clearing(self) -> tuple[Action, ...]:
        """Give the actions that drop what interrupted restores of this database have made."""
        return tuple(self._sql(statements.dropping(one.name)) for one in self._made())

    @contextmanager
    def unfinished_dropped(self) -> Iterator[None]:
        """Drop what this run has half loaded when the block does not end well.

        A plan has begun nothing: what stands there may be what another run is loading.
        """
        try:
            yield
        except BaseException:
            if current().planning:
                raise
            try:
                if not self.is_ready() and (name := self._begun()):
                    self._sql(statements.dropping(name)).perform()
            except RunbookError as error:
                log.warning("the next run drops what was half loaded: %s", error.message)
            raise

    def renames(self) -> tuple[tuple[str, str], ...]:
        """Give the renames that put the new database in the old one's place."""
        name = self.database_of_proof()
        aside = aside_name(self.database, stamp_of(name))
        old = ((self.database, aside),) if self.standing() else ()
        return (*old, (name, self.database))

    def database_of_proof(self) -> str:
        """Name the database that is checked before it bears the name."""
        return self.incoming() or incoming_name(self.database, _STAMP)

    def finishing(self) -> Action:
        """Give the action that writes down that the restore has come to its end."""
        return self._sql(self._marking(self.database, "finished"))

    def _begun(self) -> str:
        """Name the database that this run has begun to load this dump into; empty: none."""
        return str(current().memory.get(f"began {self}", ""))

    def _made(self) -> list[Standing]:
        """List the incoming databases of this one; CheckFailed for one that is nobody's."""
        found = [
            one for one in standing(self.node).values() if is_incoming(one.name, self.database)
        ]
        for one in found:
            if one.mark is None and self.node.ask(_OBJECTS, database=one.name)[0]["count"] != 0:
                raise CheckFailed(
                    f"{one.name} on {self.node} bears no run's mark, and is not empty",
                    detail="its name is one that only a restore gives",
                    hint="Look what it is, and drop or rename it.",
                )
        return found

    def _marking(self, name: str, stage: str) -> str:
        return statements.marking(name, str(Mark(self.dump.id, current().id, stage)))

    def _dressing(self, name: str) -> Execute:
        """Give the action that dresses a database and marks it ready; a secret is in no argv."""
        node, mark = self.node, self._marking(name, "ready")
        command = psql.script(
            node.program("psql"),
            statements.quietly((*statements.dressing(name, self.dump.properties), mark)),
            user=node.server_user,
            port=node.port,
            socket=node.socket_directory,
            database="postgres",
        )
        shown = (*statements.dressing(name, self.dump.properties, shown=True), mark)
        line = node.console.shown(node.statement("; ".join(shown)))
        return Execute(node.console, replace(command, confidential=True), shown=line)

    def _sql(self, sql: str, *, database: str = "postgres") -> Action:
        command = self.node.statement(sql, database=database, timeout=_HOURS)
        return Execute(self.node.console, command)


def verifying(job: ComponentRestore) -> tuple[Command, Command]:
    """Give the commands that read a dump to its last byte, and sum it."""
    user = job.node.server_user
    return (
        Command(("sha256sum", "--", job.path), user=user, leashed=True),
        pg_restore.read_whole(job.node.program("pg_restore"), job.path, user=user),
    )
