"""Independent goals at the same time: each in a thread, all told in order, no failure hides one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event

from runbook.errors import RunbookError
from runbook.hosts.underway import Underway, collected
from runbook.run import Run, current, opened

Work = Callable[[], None]

_LOOK_SECONDS = 0.2


def together(works: Sequence[Work], *, at_once: int = 0) -> None:
    """Do independent pieces of a step at the same time, at most `at_once` (0: all).

    One that fails lets the others come to their end; then all errors are told. When the run is
    ended from outside, what is under way ends at once, in a plan its questions too. A plan lists
    them one after the other, and each as if the others were not.
    """
    run = current()
    ends, underway = Event(), Underway()
    branches = [run.branch(ends, underway) for _ in works]
    try:
        if len(works) < 2:
            errors = [_carried_out(*pair) for pair in zip(branches, works, strict=True)]
        else:
            errors = _at_once(branches, works, at_once, ends, underway)
    finally:
        for branch in branches:
            run.join(branch)
    raise_all([error for error in errors if error is not None])


def _at_once(
    branches: Sequence[Run], works: Sequence[Work], width: int, ends: Event, underway: Underway
) -> list[RunbookError | None]:
    with ThreadPoolExecutor(max_workers=width or len(works)) as pool:
        futures = [
            pool.submit(copy_context().run, _carried_out, branch, work)
            for branch, work in zip(branches, works, strict=True)
        ]
        try:
            wait(futures)
        except BaseException:
            ends.set()
            _end(futures, underway)
            raise
    return [future.result() for future in futures]


def _end(futures: Sequence[Future[RunbookError | None]], underway: Underway) -> None:
    """End what is under way until every thread has come back."""
    for future in futures:
        future.cancel()
    pending = set(futures)
    while pending:
        underway.end()
        _, pending = wait(pending, timeout=_LOOK_SECONDS)


def _carried_out(run: Run, work: Work) -> RunbookError | None:
    with opened(run), collected(run.underway if run.planning else None):
        try:
            work()
        except RunbookError as error:
            return error
    return None


def raise_all(errors: Sequence[RunbookError]) -> None:
    """Raise what has failed, if anything, as one error."""
    if not errors:
        return
    first = errors[0]
    if len(errors) == 1:
        raise first
    told = [f"{error.message}\n{error.detail}".rstrip() for error in errors]
    raise type(first)(f"{len(errors)} of them failed", detail="\n".join(told), hint=first.hint)
