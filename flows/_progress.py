"""Progress artifacts for longer work: bytes, rate and time left, at most every two seconds."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from runbook.units import readable_bytes, readable_seconds
from runbook.watch import Progress

_EVERY_SECONDS = 2.0


@dataclass
class _Page:
    began: float
    told: float
    artifact: UUID | None = None


@dataclass
class ProgressPages:
    """One artifact for each piece of work that takes longer than two seconds."""

    subject: str
    run: UUID
    pages: dict[str, _Page] = field(default_factory=dict)
    silent: bool = False
    lock: Lock = field(default_factory=Lock)

    def show(self, progress: Progress) -> None:
        """Create or update the artifact; after one failure nothing more is tried."""
        now = time.monotonic()
        with self.lock:
            page = self.pages.setdefault(progress.title, _Page(now, now))
            due = now - page.told >= _EVERY_SECONDS
            closing = progress.finished and page.artifact is not None
            if self.silent or not (due or closing):
                return
            page.told, self.silent = now, True
            self._write(page, progress, now - page.began)
            self.silent = False

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
