"""Lanes that carry the rows of tables: one connection each, fed at most some megabytes ahead."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runbook.logical.load.kinds import Settings
from runbook.logical.load.session import Session, SqlError
from runbook.logical.load.words import QUALIFIED
from runbook.logical.load.work import Work

_AHEAD = 24 << 20
_LOOK_SECONDS = 0.2
_FROM = re.compile(rb"COPY (" + QUALIFIED + rb").*")
_END = re.compile(rb" FROM stdin;\Z")


@dataclass(frozen=True)
class Copy:
    """A COPY of a dump. `frozen`: its table is empty and nobody else's, its rows need no vacuum."""

    database: str
    table: str
    text: bytes
    line: int
    settings: Settings
    frozen: bool
    done: Callable[[], None]


class CopyLane:
    """One thread with one connection that copies what it is given, in order."""

    def __init__(self, work: Work, name: str) -> None:
        self._work = work
        self._given: deque[tuple[int, Callable[[], None]]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._ended = False
        self._session: Session | None = None
        self._skipped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def load(self) -> int:
        """Give how much waits here."""
        return self._waiting

    def begin(self, copy: Copy) -> None:
        """Begin to copy."""
        self._give(0, lambda: self._begin(copy))

    def put(self, copy: Copy, data: memoryview) -> None:
        """Copy rows; waits while much lies ahead already."""
        self._give(len(data), lambda: self._put(copy, data))

    def end(self, copy: Copy) -> None:
        """End a table."""
        self._give(0, lambda: self._end(copy))

    def close(self) -> None:
        """Wait until all is done, or the load has stopped."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _give(self, size: int, work: Callable[[], None]) -> None:
        with self._changed:
            while self._waiting > _AHEAD:
                self._work.check()
                self._changed.wait(_LOOK_SECONDS)
            self._work.check()
            self._given.append((size, work))
            self._waiting += size + 1
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while work := self._next():
                work[1]()
                with self._changed:
                    self._waiting -= work[0] + 1
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - told by the load
            self._work.fail(error)
        finally:
            if self._session is not None:
                self._session.close()

    def _next(self) -> tuple[int, Callable[[], None]] | None:
        with self._changed:
            while not self._given:
                self._work.check()
                if self._ended:
                    return None
                self._changed.wait(_LOOK_SECONDS)
            self._work.check()
            return self._given.popleft()

    def _of(self, database: str) -> Session:
        if self._session is None or self._session.database != database:
            if self._session is not None:
                self._session.close()
            self._session = self._work.session(database)
        return self._session

    def _begin(self, copy: Copy) -> None:
        session = self._of(copy.database)
        self._work.settled(session, copy.settings, copy.line)
        self._skipped = False
        with self._refusals(copy):
            if copy.frozen:
                session.run(b"BEGIN")
                session.run(_FROM.sub(rb"TRUNCATE ONLY \1;", copy.text))
            session.run(
                _END.sub(b" FROM stdin WITH (FREEZE);", copy.text) if copy.frozen else copy.text
            )

    def _put(self, copy: Copy, data: memoryview) -> None:
        if not self._skipped:
            self._of(copy.database).put(data)

    def _end(self, copy: Copy) -> None:
        if not self._skipped:
            session = self._of(copy.database)
            with self._refusals(copy):
                rows = session.end_copy()
                if copy.frozen:
                    session.run(b"COMMIT")
                self._work.add_rows(copy.database, copy.table, rows)
        copy.done()

    @contextmanager
    def _refusals(self, copy: Copy) -> Iterator[None]:
        try:
            yield
        except SqlError as error:
            if copy.frozen:
                self._of(copy.database).run(b"ROLLBACK")
            self._work.refused(error, copy.database, copy.text, copy.line)
            self._skipped = True
