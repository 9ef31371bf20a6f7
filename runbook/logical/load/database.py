"""The loading of one database: its objects, its rows, and what follows them in the background."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from runbook.logical.load.afterwards import BIG, Afterwards, Placed
from runbook.logical.load.building import Builders
from runbook.logical.load.contents import Database
from runbook.logical.load.copying import Copy, CopyLane
from runbook.logical.load.events import CopyBegin, CopyRows, Statement
from runbook.logical.load.kinds import Form, Kind, form, setting_name
from runbook.logical.load.survey import inserted
from runbook.logical.load.work import Work, another_dump

_TOGETHER = 64
_TOGETHER_BYTES = 256 << 10
_LOOK_SECONDS = 0.2


class DatabaseLoad:
    """A database under way; what follows its rows is done in a thread of its own.

    `over` is called when all of it is done.
    """

    def __init__(
        self,
        work: Work,
        database: Database,
        lanes: Sequence[CopyLane],
        builders: Builders,
        over: Callable[[], None],
    ) -> None:
        self.name = database.name
        self._work = work
        self._lanes = lanes
        self._session = work.session(database.name)
        self._tables = {table.name: table for table in database.tables}
        sizes = {table.name: table.size for table in database.tables}
        self._afterwards = Afterwards(work, builders, self._session, sizes)
        self._settings: dict[str, bytes] = {}
        self._pending: list[tuple[Statement, Form]] = []
        self._pending_bytes = 0
        self._new: set[str] = set()
        self._rows_came = False
        self._copy: tuple[Copy, CopyLane] | None = None
        self._copying = 0
        self._changed = threading.Condition()
        self._following: queue.SimpleQueue[Placed | threading.Event | None] = queue.SimpleQueue()
        self._follows = False
        self._over = over
        self._thread = threading.Thread(target=self._follow, name=self.name, daemon=True)

    def statement(self, statement: Statement) -> None:
        """Take the next statement."""
        shape = form(statement.text)
        if shape.kind is Kind.SETTING:
            self._settings = {**self._settings, setting_name(statement.text): statement.text}
        if self._follows:
            if shape.kind is not Kind.SETTING:
                self._following.put(Placed(statement, shape, self._settings))
            return
        rows = shape.kind in {Kind.DATA, Kind.ROW}
        self._rows_came = self._rows_came or rows
        if self._rows_came and not rows and shape.kind is not Kind.SETTING:
            self._begin_following()
            self._following.put(Placed(statement, shape, self._settings))
            return
        self._queue(statement, shape)

    def begin(self, copy: CopyBegin) -> None:
        """Take the beginning of a COPY."""
        self._run_pending()
        self._rows_came = True
        if self._follows:
            self._catch_up()
        table = self._tables.get(copy.table)
        if table is None:
            raise another_dump(f"COPY of {copy.table} in line {copy.line}")
        frozen = table.size >= BIG and copy.table in self._new
        self._new.discard(copy.table)
        with self._changed:
            self._copying += 1
        given = Copy(
            self.name,
            copy.table,
            copy.text,
            copy.line,
            self._settings,
            frozen,
            lambda: self._copied(copy.table),
        )
        lane = min(self._lanes, key=lambda each: each.load)
        self._copy = (given, lane)
        lane.begin(given)

    def rows(self, rows: CopyRows) -> None:
        """Take rows of it."""
        assert self._copy is not None
        copy, lane = self._copy
        lane.put(copy, rows.data)

    def end_copy(self) -> None:
        """Take its end."""
        assert self._copy is not None
        copy, lane = self._copy
        lane.end(copy)

    def finish(self) -> None:
        """Nothing more comes of this database; the rest is done in the background."""
        self._run_pending()
        self._begin_following()
        self._following.put(None)

    def wait(self) -> None:
        """Wait until all of it is done."""
        while self._thread.is_alive():
            self._work.check()
            self._thread.join(_LOOK_SECONDS)

    def close(self) -> None:
        """Wait for the thread; it ends by itself when the load has stopped."""
        if self._follows:
            self._thread.join()
        self._session.close()

    def _queue(self, statement: Statement, shape: Form) -> None:
        self._pending.append((statement, shape))
        self._pending_bytes += len(statement.text)
        if len(self._pending) >= _TOGETHER or self._pending_bytes > _TOGETHER_BYTES:
            self._run_pending()

    def _run_pending(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if not pending:
            return
        done = dict(self._work.run(self._session, [statement for statement, _ in pending]))
        for statement, shape in pending:
            if statement.line not in done:
                continue
            if shape.kind is Kind.TABLE:
                self._new.add(shape.tables[0])
            elif shape.kind is Kind.ROW:
                self._work.add_rows(self.name, shape.tables[0], inserted(statement.text))

    def _copied(self, name: str) -> None:
        table = self._tables[name]
        if table.size >= BIG:
            for early in table.early:
                self._afterwards.begin_early(early, name)
        with self._changed:
            self._copying -= 1
            self._changed.notify_all()

    def _begin_following(self) -> None:
        if not self._follows:
            self._run_pending()
            self._follows = True
            self._thread.start()

    def _catch_up(self) -> None:
        """Wait until all that was taken so far is done."""
        done = threading.Event()
        self._following.put(done)
        while not done.wait(_LOOK_SECONDS):
            self._work.check()

    def _follow(self) -> None:
        try:
            while (following := self._next()) is not None:
                if isinstance(following, Placed):
                    self._afterwards.take(following)
                else:
                    self._afterwards.end()
                    following.set()
            self._afterwards.end()
        except BaseException as error:  # noqa: BLE001 - told by the load
            self._work.fail(error)
        finally:
            self._session.close()
            self._over()

    def _next(self) -> Placed | threading.Event | None:
        """Give what follows once all rows that came before are there."""
        while True:
            self._work.check()
            with suppress(queue.Empty):
                following = self._following.get(timeout=_LOOK_SECONDS)
                break
        with self._changed:
            while self._copying:
                self._work.check()
                self._changed.wait(_LOOK_SECONDS)
        return following
