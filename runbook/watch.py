"""Who is told how a run goes: logs, terminals, progress bars, the control room."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from runbook.plan import Plan
from runbook.units import readable_bytes

log = logging.getLogger("runbook")


@dataclass(frozen=True)
class Progress:
    """How far a longer piece of work is, in bytes; `total` is 0 where nobody knows it."""

    title: str
    done: int
    total: int
    finished: bool = False


class Watcher(Protocol):
    """Hears everything that happens in a run."""

    def planned(self, plan: Plan) -> None:
        """A plan was made."""

    def step_began(self, number: str, title: str) -> None:
        """A step begins."""

    def step_ended(self, number: str, title: str) -> None:
        """A step has ended well."""

    def told(self, text: str) -> None:
        """Something worth a line happened."""

    def progress(self, progress: Progress) -> None:
        """A longer piece of work moved on."""

    def finished(self, title: str, markdown: str) -> None:
        """The run has a result to show."""


class LogWatcher:
    """Writes one log line for everything."""

    def planned(self, plan: Plan) -> None:
        """Log the size of the plan."""
        log.info("plan %s: %d changes", plan.digest[:12], plan.changes)

    def step_began(self, number: str, title: str) -> None:
        """Log the heading."""
        log.info("step %s: %s", number, title)

    def step_ended(self, number: str, title: str) -> None:
        """Say nothing: the next line says it."""

    def told(self, text: str) -> None:
        """Log the line."""
        log.info("%s", text)

    def progress(self, progress: Progress) -> None:
        """Log the end of longer work."""
        if progress.finished:
            log.info("%s: %s", progress.title, readable_bytes(progress.done))

    def finished(self, title: str, markdown: str) -> None:
        """Log the title of the result, and the page itself for those who want it."""
        log.info("%s", title)
        log.debug("%s", markdown)
