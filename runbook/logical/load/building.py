"""Builders of indexes and constraints: several at once, never two that wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from runbook.logical.load.events import Statement
from runbook.logical.load.kinds import Settings
from runbook.logical.load.session import Session
from runbook.logical.load.work import Work

_LOOK_SECONDS = 0.2
_SORTING = {"maintenance_work_mem": b"SET maintenance_work_mem = '256MB';"}
# A GIN index is built some 10 % slower with 1 GB than with 64 MB.
_GIN = {"maintenance_work_mem": b"SET maintenance_work_mem = '64MB';"}
Locks = frozenset[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Job:
    """Statements to run in one go, the tables they only read and those they lock.

    Larger `weight` goes first. `done` is called when they are done.
    """

    database: str
    settings: Settings
    statements: tuple[Statement, ...]
    shared: Locks
    exclusive: Locks
    weight: int
    done: Callable[[], None]

    @property
    def memory(self) -> Settings:
        """Give what the sorting may take."""
        gin = any(b" USING gin " in each.text for each in self.statements)
        return _GIN if gin else _SORTING

    def conflicts(self, other: Job) -> bool:
        """Tell whether one of the two would wait for the other."""
        mine, theirs = self.exclusive, other.exclusive
        return bool(mine & (theirs | other.shared) or theirs & self.shared)


class Builders:
    """Threads with one connection each that do the jobs of all databases."""

    def __init__(self, work: Work, count: int) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._ended = False
        self._threads = [
            threading.Thread(target=self._run, name=f"build-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Have a job done."""
        with self._changed:
            self._waiting.append(job)
            self._waiting.sort(key=lambda each: -each.weight)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is done, or the load has stopped."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        session: Session | None = None
        try:
            while job := self._next():
                if session is None or session.database != job.database:
                    if session is not None:
                        session.close()
                    session = self._work.session(job.database)
                self._do(session, job)
        except BaseException as error:  # noqa: BLE001 - told by the load
            self._work.fail(error)
        finally:
            if session is not None:
                session.close()

    def _do(self, session: Session, job: Job) -> None:
        line = job.statements[0].line
        self._work.settled(session, {**job.settings, **job.memory}, line)
        self._work.run(session, job.statements)
        with self._changed:
            self._running.remove(job)
            self._changed.notify_all()
        job.done()

    def _next(self) -> Job | None:
        with self._changed:
            while True:
                self._work.check()
                for job in self._waiting:
                    if not any(job.conflicts(other) for other in self._running):
                        self._waiting.remove(job)
                        self._running.append(job)
                        return job
                if self._ended and not self._waiting:
                    return None
                self._changed.wait(_LOOK_SECONDS)
