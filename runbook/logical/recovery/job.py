"""One recovery of a cluster from a logical backup, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.logical.load import CREATED_AS, Contents
from runbook.logical.reading import StoredDump
from runbook.logical.recovery import databases as place
from runbook.logical.recovery.databases import ALWAYS, Database, databases
from runbook.logical.recovery.mark import (
    RecoveryMark,
    path,
    read_mark,
    write_mark,
)
from runbook.postgres import Node
from runbook.replication.lineup import Lineup
from runbook.replication.members import repmgr_of
from runbook.replication.metadata import Metadata
from runbook.restore.marks import new_stamp
from runbook.run import current

_MOMENT = "MOMENT"
"""Stands in a plan for the moment at which databases will be set aside."""


_FRESH, _HALF = "pg_runbooks_fresh", "pg_runbooks_half"
"""An empty database on its way to be ALWAYS, and a half-loaded one on its way out."""


@dataclass(frozen=True)
class Recovery:
    """A backup on its way into the primary; `names` are the databases that it fills."""

    lineup: Lineup
    metadata: Metadata
    dump: StoredDump
    contents: Contents
    names: tuple[str, ...]
    again: bool
    witnesses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.backup

    @property
    def backup(self) -> str:
        """Name the backup."""
        return str(self.dump.name)

    @property
    def primary(self) -> Node:
        """Give the server that it is loaded into."""
        return self.lineup.primary

    @property
    def repmgr_database(self) -> str:
        """Name repmgr's own database."""
        return repmgr_of(self.primary).database

    def mark(self) -> RecoveryMark | None:
        """Read the mark of the primary, where it is that of this recovery."""
        mark = read_mark(self.primary)
        if mark is None or mark.backup != self.backup:
            return None
        open_still = mark.loaded is None or (mark.proven is not None and mark.finished is None)
        over = not open_still and mark.run_id != current().id
        return None if self.again and over else mark

    def is_loaded(self) -> bool:
        """Tell whether the databases that were loaded from this backup are in place now."""
        mark = self.mark()
        if mark is None or mark.loaded is None:
            return False
        return mark.is_in_place(_oids(databases(self.primary)))

    def is_proven(self) -> bool:
        """Tell whether what was loaded is in place, and proven to be what the backup holds."""
        return self.has("proven")

    def is_aside(self) -> bool:
        """Tell whether no database that stood there before has a name that the load needs."""
        mark = self.mark()
        if mark is None or mark.loaded is not None:
            return self.is_loaded()
        now = databases(self.primary)
        found = [now[name] for name in self.names if name in now]
        return all(mark.is_ours(each.oid) for each in found)

    def has(self, stage: str) -> bool:
        """Tell whether the recovery is loaded and a later stage of it is written in its mark."""
        mark = self.mark()
        return mark is not None and getattr(mark, stage) is not None and self.is_loaded()

    def is_finished(self) -> bool:
        """Tell whether the recovery has come to its end, and nobody has undone it."""
        return self.has("finished")

    def origin(self) -> str:
        """Name the data that standbys are cloned of; any sound standby will do after the end."""
        if self.is_finished():
            return ""
        mark = self.mark()
        when = mark.stamp if mark is not None else "(not yet)"
        return f"{self.primary}, recovered from {self.backup} at {when}"

    def set_aside(self) -> tuple[Action, ...]:
        """Rename what stands under the names that the load needs; first, write down what it is."""
        if self.is_aside():
            return ()
        now = databases(self.primary)
        mark = self.begun(now)
        asides = {oid: aside for aside, oid in mark.kept.items()}
        standing = [now[name] for name in mark.names if name in now]
        kept = {each.name: asides[each.oid] for each in standing if each.oid in asides}
        return (
            self._writing(mark),
            *place.closings(self.primary, tuple(kept)),
            *self._renamings(kept),
        )

    def clearing(self) -> tuple[Action, ...]:
        """Drop what an earlier, unfinished load has made; nothing else.

        A plan asks before this recovery has begun: it shows what would be inherited then.
        """
        half = self.half_loaded()
        dropped = tuple(
            action
            for each in half
            if each.name != ALWAYS
            for action in place.droppings(self.primary, each)
        )
        renewed = self._renewed() if ALWAYS in {each.name for each in half} else ()
        return (*place.forgettings(self.primary, half), *dropped, *renewed)

    def half_loaded(self) -> tuple[Database, ...]:
        """Give the databases that an unfinished load has left: of this backup, or of another."""
        if self.is_loaded():
            return ()
        now = databases(self.primary)
        mark = self.begun(now)
        names = [name for name in mark.names if name in now and mark.is_ours(now[name].oid)]
        passing = [name for name in (_FRESH, _HALF, CREATED_AS) if name in now]
        return tuple(now[name] for name in (*names, *passing))

    def opening(self) -> tuple[Action, ...]:
        """Let as many into the loaded databases as the backup says, and write that down."""
        mark = self.mark()
        loaded = mark.after if mark is not None and mark.after else self.names
        found = {name: self.contents.database(name) for name in loaded}
        limits = {name: -1 if each is None else each.limit for name, each in found.items()}
        return (*place.limits(self.primary, limits), self.noting("opened"))

    def freed(self) -> int:
        """Give the bytes of what is dropped before the load."""
        return sum(each.size for each in self.half_loaded())

    def noting(self, stage: str) -> Action:
        """Write down that a stage is reached."""
        return Work(
            self.primary.host.name,
            f"note in {path(self.primary)}: {stage.replace('_', ' ')}",
            lambda: self.note(**{stage: datetime.now(UTC)}),
        )

    def note(self, **fields: object) -> str:
        """Change the mark; it is this run's from now on."""
        mark = self.mark()
        assert mark is not None
        write_mark(self.primary, mark.model_copy(update={**fields, "run_id": current().id}))
        return "noted"

    def has_made(self, name: str) -> str:
        """Write down that a database is the load's: it has no name of the dump yet."""
        mark, now = self.mark(), databases(self.primary)
        assert mark is not None
        return self.note(made=(*mark.made, now[name].oid))

    def begun(self, now: Mapping[str, Database]) -> RecoveryMark:
        """Make the mark of a recovery that begins, or goes on where another one has stopped."""
        stamp = _MOMENT if current().planning else new_stamp()
        wanted = RecoveryMark(
            backup=self.backup,
            run_id=current().id,
            stamp=stamp,
            names=self.names,
            kept={},
            witnesses=self.witnesses,
        )
        return wanted.begun_after(read_mark(self.primary), _oids(now))

    def _renamings(self, pairs: Mapping[str, str]) -> tuple[Action, ...]:
        """Rename databases; what takes the place of ALWAYS is noted as ours before it does."""
        if ALWAYS not in pairs:
            return place.renamings(self.primary, pairs)
        ours = Work(
            self.primary.host.name,
            f"note in {path(self.primary)}: {_FRESH} is of this recovery",
            lambda: self.has_made(_FRESH),
        )
        renamings = place.renamings(self.primary, pairs, _FRESH)
        return (*place.making(self.primary, _FRESH), ours, *renamings)

    def _renewed(self) -> tuple[Action, ...]:
        """Give an empty ALWAYS for one that may be half loaded."""
        gone = place.statement(self.primary, f"DROP DATABASE {_HALF} WITH (FORCE)")
        return (*self._renamings({ALWAYS: _HALF}), gone)

    def _writing(self, mark: RecoveryMark) -> Action:
        kept = ", ".join(sorted(mark.kept)) or "nothing"
        line = f"note in {path(self.primary)}: {self.backup} begins; set aside: {kept}"

        def write() -> str:
            write_mark(self.primary, mark)
            return "noted"

        return Work(self.primary.host.name, line, write)


def filled(contents: Contents) -> tuple[str, ...]:
    """Name the databases that a dump makes, and others that it brings anything into."""
    return tuple(
        each.name
        for each in contents.databases
        if each.created or each.tables or each.sequences or each.large_objects
    )


def _oids(now: Mapping[str, Database]) -> Mapping[str, int]:
    return {name: each.oid for name, each in now.items()}
