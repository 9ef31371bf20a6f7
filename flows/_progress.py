"""Progress artifacts for longer work: bytes, rate and time left, at most every two seconds.

They are written beside the work: a server that hangs would hold up the data, and the outage.
"""

from __future__ import annotations

import re
import time
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Lock, Thread
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from runbook.units import readable_bytes, readable_seconds
from runbook.watch import Progress, log

_EVERY_SECONDS = 2.0


@dataclass
class _Page:
    began: float
    told: float
    shown: bool = False
    artifact: UUID | None = None


@dataclass
class ProgressPages:
    """One artifact for each piece of work that takes longer than two seconds."""

    subject: str
    run: UUID
    pages: dict[str, _Page] = field(default_factory=dict)
    newest: dict[str, tuple[Progress, float]] = field(default_factory=dict)
    """What is still to be written: of each piece of work only the last, and the seconds it took."""
    silent: bool = False
    lock: Lock = field(default_factory=Lock)
    writer: Thread | None = None

    def show(self, progress: Progress) -> None:
        """Let the artifact be created or updated; after one failure nothing more is tried."""
        now = time.monotonic()
        with self.lock:
            page = self.pages.setdefault(progress.title, _Page(now, now))
            due = now - page.told >= _EVERY_SECONDS
            if self.silent or not (due or (progress.finished and page.shown)):
                return
            page.told, page.shown = now, True
            self.newest[progress.title] = (progress, now - page.began)
            if self.writer is None:
                self.writer = Thread(target=copy_context().run, args=(self._work,), daemon=True)
                self.writer.start()

    def close(self, within: float = 5.0) -> None:
        """Wait so many seconds for what is still to be written."""
        writer = self.writer
        if writer is not None:
            writer.join(within)

    def _work(self) -> None:
        while found := self._next():
            try:
                self._write(*found)
            except Exception as error:  # noqa: BLE001 - what only tells ends no restore
                self.silent = True
                log.warning("progress is not shown: %s: %s", type(error).__name__, error)
                return

    def _next(self) -> tuple[_Page, Progress, float] | None:
        with self.lock:
            if not self.newest:
                self.writer = None
                return None
            title = next(iter(self.newest))
            return self.pages[title], *self.newest.pop(title)

    def _write(self, page: _Page, progress: Progress, seconds: float) -> None:
        percent, text = share(progress), described(progress, seconds)
        with get_client(sync_client=True) as client:
            if page.artifact is not None:
                client.update_artifact(
                    page.artifact, ArtifactUpdate(data=percent, description=text)
                )
                return
            title = re.sub(r"[^a-z0-9]+", "-", progress.title.lower()).strip("-")
            created = client.create_artifact(
                ArtifactCreate(
                    key=f"{self.subject}-{title}"[:250],
                    type="progress",
                    data=percent,
                    description=text,
                    flow_run_id=self.run,
                )
            )
            page.artifact = created.id


def share(progress: Progress) -> float:
    """Give the percentage; 0 where the total is not known, 100 at the end."""
    if progress.finished:
        return 100.0
    return min(100.0, round(100 * progress.done / progress.total, 1)) if progress.total else 0.0


def described(progress: Progress, seconds: float) -> str:
    """Say bytes, rate and time left in one line."""
    rate = progress.done / seconds if seconds > 0 else 0.0
    parts = [readable_bytes(progress.done)]
    if progress.total:
        parts[0] += f" of {readable_bytes(progress.total)}"
    parts.append(f"{readable_bytes(int(rate))}/s")
    if progress.finished:
        parts.append(f"took {readable_seconds(seconds)}")
    elif progress.total and rate:
        left = max(0, progress.total - progress.done) / rate
        parts.append(f"{readable_seconds(left)} left")
    return f"{progress.title}: {', '.join(parts)}"
