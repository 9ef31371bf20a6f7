"""The loading of a dump: streamed, rows and indexes side by side, databases overlapped.

In order: what belongs to the whole cluster; then each database's objects one by one, its tables
over the copy lanes, its indexes and keys over as many builders, its foreign keys likewise, all
else in the place it has in the dump. While indexes are built, the rows of the next table or
database stream in. Settings are those of our own sessions: there is nothing to put back, and fsync
stays as it is. At the end everything is durable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from runbook.logical.load.building import Builders
from runbook.logical.load.closed import CREATED_AS, created_closed, is_limit
from runbook.logical.load.contents import Contents
from runbook.logical.load.copying import CopyLane
from runbook.logical.load.database import DatabaseLoad
from runbook.logical.load.door import doors
from runbook.logical.load.events import (
    Comment,
    CopyBegin,
    CopyEnd,
    CopyRows,
    Event,
    MetaCommand,
    Statement,
)
from runbook.logical.load.policy import SECTION_END, judged
from runbook.logical.load.scanner import scan
from runbook.logical.load.words import connected_to
from runbook.logical.load.work import Loaded, Work, another_dump
from runbook.postgres import Node

APPLICATION = "pg-runbooks load"

_DATABASES_AT_ONCE = 4
_LOOK_SECONDS = 0.2
_DURABLE = (b"SET synchronous_commit = local", b"SELECT pg_catalog.txid_current()")

Tell = Callable[[int], object]
Made = Callable[[str], object]


def load(
    sql: Iterator[bytes],
    contents: Contents,
    node: Node,
    *,
    lanes: int = 2,
    expected: Sequence[str] = (),
    progress: Tell = lambda _: None,
    made: Made | None = None,
) -> Loaded:
    """Load a dump that was surveyed; the first error that is not expected stops it.

    `lanes`: connections for rows, and as many for indexes; 1 loads tables in the dump's order.
    `expected`: patterns of messages of errors that do no harm. `progress` is told the bytes of SQL
    text read. With `made`, databases let nobody in but superusers until they are opened: each is
    created as CREATED_AS, `made` is told so, and then it gets its name.
    Raises LoadFailed, Unreachable, DumpRefused, and whatever `sql` and `made` raise.
    """
    with doors(node, APPLICATION) as connect:
        work = Work(connect, expected)
        loading = _Loading(work, contents, lanes, made)
        try:
            loading.take(judged(scan(_told(sql, progress))))
            loading.complete()
        except BaseException as error:  # noqa: BLE001 - raised below
            work.fail(error)
        finally:
            loading.close()
        if work.failure is not None:
            raise work.failure
        return work.loaded()


def _told(sql: Iterator[bytes], progress: Tell) -> Iterator[bytes]:
    done = 0
    for chunk in sql:
        yield chunk
        done += len(chunk)
        progress(done)


class _Loading:
    def __init__(self, work: Work, contents: Contents, lanes: int, made: Made | None) -> None:
        self._work = work
        self._made = made
        self._contents = contents
        self._cluster = work.session("postgres")
        self._lanes = [CopyLane(work, f"copy-{number}") for number in range(lanes)]
        self._builders = Builders(work, lanes)
        self._databases: list[DatabaseLoad] = []
        self._in: DatabaseLoad | None = None
        self._places = threading.BoundedSemaphore(_DATABASES_AT_ONCE)

    def take(self, events: Iterator[Event]) -> None:
        """Load what comes."""
        for event in events:
            match event:
                case CopyRows():
                    self._into().rows(event)
                case Statement() if self._made is not None and self._is_done(event, self._made):
                    pass
                case Statement() if self._in is not None:
                    self._in.statement(event)
                case Statement():
                    self._work.run(self._cluster, [event])
                case CopyBegin():
                    self._into().begin(event)
                case CopyEnd():
                    self._into().end_copy()
                case MetaCommand() if name := connected_to(event.text):
                    self._connect(name)
                case Comment() if event.text == SECTION_END:
                    self._leave()

    def complete(self) -> None:
        """Wait until all databases are loaded, and durable."""
        self._leave()
        for database in self._databases:
            database.wait()
        self._work.check()
        self._cluster.run(*_DURABLE)

    def close(self) -> None:
        """End all threads and sessions: at once when the load is not complete."""
        for lane in self._lanes:
            lane.close()
        self._builders.close()
        for database in self._databases:
            database.close()
        self._cluster.close()

    def _is_done(self, statement: Statement, made: Made) -> bool:
        """Do what makes or opens a database in our own way; tell whether it was that."""
        if is_limit(statement.text):
            return True
        found = created_closed(statement)
        if found is None:
            return False
        create, rename = found
        if self._work.run(self._cluster, [create]):
            made(CREATED_AS)
            self._work.run(self._cluster, [rename])
        return True

    def _into(self) -> DatabaseLoad:
        if self._in is None:
            raise another_dump("rows belong to no database")
        return self._in

    def _connect(self, name: str) -> None:
        self._leave()
        for database in self._databases:
            if database.name == name:
                database.wait()
        found = self._contents.database(name)
        if found is None:
            raise another_dump(f"database {name}")
        while not self._places.acquire(timeout=_LOOK_SECONDS):
            self._work.check()
        self._in = DatabaseLoad(
            self._work, found, self._lanes, self._builders, self._places.release
        )
        self._databases.append(self._in)

    def _leave(self) -> None:
        if self._in is not None:
            self._in.finish()
            self._in = None
