"""What follows the rows of a database: indexes and constraints side by side, the rest in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from runbook.logical.load.building import Builders, Job, Locks
from runbook.logical.load.contents import Early
from runbook.logical.load.events import Statement
from runbook.logical.load.kinds import Form, Kind, Settings
from runbook.logical.load.session import Session
from runbook.logical.load.work import Work

BIG = 8 << 20
"""Bytes of rows from which on a table's indexes are worth a builder of their own."""

_TOGETHER = 32
_GIN_WEIGHT = 5
_LOOK_SECONDS = 0.2
_GROUPS = {Kind.KEY: Kind.INDEX, Kind.INDEX: Kind.INDEX, Kind.REFERENCE: Kind.REFERENCE}


@dataclass(frozen=True)
class Placed:
    """A statement in its place: what it is, and the settings in force there."""

    statement: Statement
    form: Form
    settings: Settings


class Afterwards:
    """Does the statements after the rows, in the order of the dump but for this:

    consecutive indexes and keys are built side by side, so are consecutive foreign keys; what is
    said about them follows when all of them are there. What was built early is left out.
    """

    def __init__(
        self, work: Work, builders: Builders, session: Session, sizes: Mapping[str, int]
    ) -> None:
        self._work = work
        self._builders = builders
        self._session = session
        self._sizes = sizes
        self._group: list[Placed] = []
        self._about: list[Placed] = []
        self._serial: list[Placed] = []
        self._early: dict[int, bytes] = {}
        self._outstanding = 0
        self._changed = threading.Condition()

    def begin_early(self, early: Early, table: str) -> None:
        """Build an index or key while the rows of other tables still come."""
        statement = early.statement
        self._early[statement.line] = statement.text
        kind = Kind.KEY if early.exclusive else Kind.INDEX
        self._submit([Placed(statement, Form(kind, (table,)), early.settings)])

    def take(self, placed: Placed) -> None:
        """Do a statement, or have it done with others."""
        statement, kind = placed.statement, placed.form.kind
        if self._early.get(statement.line) == statement.text:
            return
        if kind in _GROUPS:
            self._end_serial()
            if self._group and _GROUPS[self._group[0].form.kind] is not _GROUPS[kind]:
                self._end_group()
            self._group.append(placed)
        elif kind is Kind.ABOUT and (self._group or self._outstanding):
            self._about.append(placed)
        else:
            self._end_group()
            self._serial.append(placed)
            if len(self._serial) >= _TOGETHER:
                self._end_serial()

    def end(self) -> None:
        """Do what is left."""
        self._end_group()
        self._end_serial()

    def _end_group(self) -> None:
        for together in self._bundled():
            self._submit(together)
        self._group.clear()
        with self._changed:
            while self._outstanding:
                self._work.check()
                self._changed.wait(_LOOK_SECONDS)
        self._serial += self._about
        self._about.clear()

    def _end_serial(self) -> None:
        for _, run in groupby(self._serial, key=lambda each: id(each.settings)):
            placed = list(run)
            self._work.settled(self._session, placed[0].settings, placed[0].statement.line)
            self._work.run(self._session, [each.statement for each in placed])
        self._serial.clear()

    def _bundled(self) -> Iterator[list[Placed]]:
        """Give what is worth a job: large ones alone, small ones by table and with neighbours."""
        small: list[Placed] = []
        for placed in sorted(self._group, key=lambda each: each.form.tables[0]):
            if self._weight(placed) >= BIG:
                yield [placed]
                continue
            last = small[-1] if small else placed
            other = last.form.tables[0] != placed.form.tables[0]
            if small and (
                last.settings is not placed.settings or (other and len(small) >= _TOGETHER)
            ):
                yield small
                small = []
            small.append(placed)
        if small:
            yield small

    def _weight(self, placed: Placed) -> int:
        size = sum(self._sizes.get(table, 0) for table in placed.form.tables)
        return size * _GIN_WEIGHT if b" USING gin " in placed.statement.text else size

    def _submit(self, together: list[Placed]) -> None:
        with self._changed:
            self._outstanding += 1
        job = Job(
            self._session.database,
            together[0].settings,
            tuple(each.statement for each in together),
            self._tables(each for each in together if each.form.kind is Kind.INDEX),
            self._tables(each for each in together if each.form.kind is not Kind.INDEX),
            sum(map(self._weight, together)),
            self._done,
        )
        self._builders.submit(job)

    def _tables(self, placed: Iterator[Placed]) -> Locks:
        return frozenset((self._session.database, name) for e in placed for name in e.form.tables)

    def _done(self) -> None:
        with self._changed:
            self._outstanding -= 1
            self._changed.notify_all()
