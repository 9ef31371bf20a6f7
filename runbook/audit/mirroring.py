"""Copying while a run goes on: beside it, and never in its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from runbook.audit.mirror import Mirror
from runbook.errors import RunbookError
from runbook.watch import log

_EVERY_SECONDS = 5.0
_LAST_SECONDS = 20.0


@contextmanager
def mirrored(mirror: Mirror | None, run: str) -> Iterator[None]:
    """Copy the record of a run while the block works, and for a moment after it.

    A store that fails is told and never stops the run; what it lacks stays in the queue.
    """
    if mirror is None:
        yield
        return
    mirror.expect(run)
    ends = Event()
    copying = Thread(target=_copy, args=(mirror, ends), name="audit copy", daemon=True)
    copying.start()
    try:
        yield
    finally:
        ends.set()
        copying.join(_LAST_SECONDS)
        if copying.is_alive():
            log.warning("the audit store %s is slow: %s", mirror.settings.store, _LATER)


_LATER = "what it lacks is copied by the next run, or by `pg-runbooks audit mirror`"


def _copy(mirror: Mirror, ends: Event) -> None:
    said = ""
    last = False
    while not last:
        last = ends.wait(_EVERY_SECONDS)
        try:
            mirror.catch_up()
        except (RunbookError, OSError) as error:
            text = error.message if isinstance(error, RunbookError) else str(error)
            if text != said:
                log.warning("the audit record is not copied: %s; %s", text, _LATER)
            said = text
