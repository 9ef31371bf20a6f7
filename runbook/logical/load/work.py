"""What all threads of a load share: its sessions, its end, what it counted."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook.logical.load.door import Open
from runbook.logical.load.errors import LoadFailed, shortened
from runbook.logical.load.events import Statement
from runbook.logical.load.kinds import Settings
from runbook.logical.load.session import Session, SqlError, Stopped

_ALONE = re.compile(rb"BEGIN;|COMMIT;|SELECT pg_catalog\.lo")
_DEADLOCK = "40P01"
_TRIES = 5
_HINTS = {
    "42P04": "Set the existing database aside first: the dump creates its own.",
    "23514": "A check may look into another table: lanes=1 loads in the order of the dump.",
    "53100": "Make room on the node; then load again into databases that are new.",
}
_HINT = "What came before is loaded: remove the cause, drop what was loaded and load again."


@dataclass(frozen=True)
class Loaded:
    """What was loaded: rows by (database, table), and how often each expected error came."""

    rows: Mapping[tuple[str, str], int]
    expected: Mapping[str, int]


class Work:
    """A load under way."""

    def __init__(self, connect: Open, expected: Sequence[str]) -> None:
        self.stopped = threading.Event()
        self.failure: BaseException | None = None
        self._connect = connect
        self._expected = [re.compile(each) for each in expected]
        self._lock = threading.Lock()
        self._rows: Counter[tuple[str, str]] = Counter()
        self._seen: Counter[str] = Counter()

    def session(self, database: str) -> Session:
        """Open a session."""
        return Session(self._connect(database), database, self.stopped)

    def run(self, session: Session, statements: Sequence[Statement]) -> list[tuple[int, bytes]]:
        """Run statements in one go; give line and tag of each that was done.

        When one fails, nothing of the go is done: then each is run by itself, which tells the one
        that fails, and whether that is expected.
        """
        if len(statements) > 1 and not any(_ALONE.match(each.text) for each in statements):
            try:
                tags = session.run(*(each.text for each in statements))
            except SqlError:
                return [done for each in statements for done in self.run(session, [each])]
            return [(each.line, tag) for each, tag in zip(statements, tags, strict=True)]
        return [done for each in statements for done in self._alone(session, each)]

    def _alone(self, session: Session, statement: Statement) -> list[tuple[int, bytes]]:
        for attempt in range(_TRIES):
            try:
                return [(statement.line, tag) for tag in session.run(statement.text)]
            except SqlError as error:
                if error.sqlstate != _DEADLOCK or attempt == _TRIES - 1:
                    self.refused(error, session.database, statement.text, statement.line)
                    return []
        return []

    def settled(self, session: Session, settings: Settings, line: int) -> None:
        """Have settings of the dump in force in a session."""
        try:
            session.settle(settings)
        except SqlError as error:
            raise _failed(error, session.database, b"SET", line) from error

    def refused(self, error: SqlError, database: str, text: bytes, line: int) -> None:
        """Count an error that is expected; raise LoadFailed for any other."""
        if not any(pattern.search(error.message) for pattern in self._expected):
            raise _failed(error, database, text, line) from error
        with self._lock:
            self._seen[error.message] += 1

    def add_rows(self, database: str, table: str, rows: int) -> None:
        """Count rows that PostgreSQL took."""
        with self._lock:
            self._rows[database, table] += rows

    def fail(self, error: BaseException) -> None:
        """Stop the load; the first reason is the one that is told."""
        with self._lock:
            if self.failure is None and not isinstance(error, Stopped):
                self.failure = error
        self.stopped.set()

    def check(self) -> None:
        """Raise Stopped when the load has stopped."""
        if self.stopped.is_set():
            raise Stopped

    def loaded(self) -> Loaded:
        """Give what was counted."""
        return Loaded(dict(self._rows), dict(self._seen))


def another_dump(what: str) -> LoadFailed:
    """Say that a dump is not the one whose contents were given."""
    return LoadFailed(
        f"the dump is not the one that was surveyed: {what}", hint="Survey it, then load it."
    )


def _failed(error: SqlError, database: str, text: bytes, line: int) -> LoadFailed:
    told = text.partition(b" VALUES ")[0] if error.of_data else text
    said = [
        f"line {line} of the dump: {shortened(told)}",
        f"SQLSTATE {error.sqlstate}",
        error.detail,
        error.hint,
    ]
    return LoadFailed(
        f"loading stopped in database {database}: {error.shown}",
        detail="\n".join(filter(None, said)),
        hint=_HINTS.get(error.sqlstate, _HINT),
        database=database,
        line=line,
        sqlstate=error.sqlstate,
    )
