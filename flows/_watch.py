"""Tells the Prefect UI how a run goes: its name, log lines, plan, approval, progress, result."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from flows._evidence import (
    approval_page,
    approval_told,
    backup_on_record,
    entries_of,
    evidence_page,
)
from flows._names import backup_of, run_name, run_tags
from flows._progress import ProgressPages
from runbook.plan import Plan
from runbook.times import chart, step_times
from runbook.units import counted
from runbook.watch import Progress, log

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


class PrefectWatcher:
    """Hears a run and shows it in the UI. What only tells never stops a run."""

    def __init__(self, run: FlowRun, runbook: str, cluster: str) -> None:
        self.run = run
        self.runbook, self.cluster = runbook, cluster
        self.subject = f"{runbook}-{cluster}"
        self.results: list[tuple[str, str]] = []
        self.shown: set[str] = set()
        self.backup = ""
        self.approval = ""
        self.pages = ProgressPages(self.subject, run.id)
        self.flow_logger: Logger = get_run_logger()

    def planned(self, plan: Plan) -> None:
        """Keep the plan as an artifact, once for each digest of a run, whatever is replayed."""
        self._log("plan %s: %d changes", plan.digest[:12], plan.changes)
        if plan.digest not in self.shown:
            self.shown.add(plan.digest)
            self.backup = backup_of(plan)
            self.tag()
            told(lambda: self._keep_plan(plan))

    def step_began(self, number: str, title: str) -> None:
        """Log the heading."""
        self._log("step %s: %s", number, title)

    def step_ended(self, number: str, title: str) -> None:  # noqa: ARG002
        """Show the approval as soon as there is one."""
        if not self.approval:
            told(self._keep_approval)

    def told(self, text: str) -> None:
        """Log the line, in the task that it belongs to."""
        self._log("%s", text)

    def progress(self, progress: Progress) -> None:
        """Log the end of longer work, and show how far it is meanwhile."""
        if progress.finished:
            self._log("%s: finished, %d bytes", progress.title, progress.done)
        self.pages.show(progress)

    def finished(self, title: str, markdown: str) -> None:
        """Keep a result for the page that the run ends with."""
        self._log("%s", title)
        self.results.append((title, markdown))

    def keep_result(self, about: str, markdown: str) -> None:
        """Write the page that the run ends with; `about` tells the outcome in the list of pages."""
        self.pages.close()
        told(self._keep_approval)
        pages = [f"## {title}\n\n{page}" for title, page in [*self.results, *self._proof()]]
        text = "\n\n".join([*pages[: len(self.results)], markdown, *pages[len(self.results) :]])
        told(lambda: keep_page(self.run.id, f"{self.subject}-result", text, about))

    def tag(self, outcome: str = "") -> None:
        """Let the list of runs tell what this one is about, and how it went."""
        run, parameters = self.run, self.run.parameters
        backup = self.backup or backup_on_record(entries_of(str(run.id)))
        name = run_name(self.runbook, parameters, backup)
        tags = run_tags(run.tags, parameters, outcome, backup)

        def update() -> None:
            with get_client(sync_client=True) as client:
                client.update_flow_run(run.id, name=name, tags=tags)

        told(update)

    def _proof(self) -> Iterator[tuple[str, str]]:
        """Give what the record adds to the result; a dry run has none."""
        entries = entries_of(str(self.run.id))
        approval, times = approval_page(entries), step_times(entries)
        if approval:
            yield "Approval", approval
        if times:
            yield "Where the time went", chart(times)
        if entries:
            yield "Evidence", evidence_page(str(self.run.id), self.cluster)

    def _keep_approval(self) -> None:
        """Keep the answers as an artifact; once for each last answer, whatever is replayed."""
        entries = entries_of(str(self.run.id))
        about = approval_told(entries)
        if not about or about == self.approval:
            return
        self.approval = about
        page = approval_page(entries)
        if page and about not in _pages(self.run.id):
            keep_page(self.run.id, f"{self.subject}-approval", page, about)

    def _keep_plan(self, plan: Plan) -> None:
        about = _about(plan)
        if about not in _pages(self.run.id):
            keep_page(self.run.id, f"{self.subject}-plan", plan.markdown(), about)

    def _log(self, text: str, *values: object) -> None:
        try:
            get_run_logger().info(text, *values)
        except MissingContextError:
            self.flow_logger.info(text, *values)


def artifact_key(text: str) -> str:
    """Give a key that Prefect accepts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def keep_page(run: UUID, key: str, markdown: str, about: str) -> None:
    """Write a Markdown artifact of a run."""
    page = ArtifactCreate(
        key=artifact_key(key),
        type="markdown",
        data=markdown,
        description=about,
        flow_run_id=run,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(page)


def told(tell: Callable[[], None]) -> None:
    """Tell the control room something; its absence is logged and stops nothing."""
    try:
        tell()
    except Exception as error:  # noqa: BLE001 - a restore goes on when its control room is away
        log.warning("the control room was not told: %s: %s", type(error).__name__, error)


def page_text(run: UUID, kind: str) -> str:
    """Give the newest page of a run, its `plan` or its `result`; empty where it was not kept."""
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[run]),
        key=ArtifactFilterKey(like_=f"%-{kind}"),
    )
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)
    return str(found[0].data) if found else ""


def plan_page(run: UUID, plan: Plan) -> str:
    """Give the path of a plan's page in the UI; empty where it was not kept."""
    page = _pages(run).get(_about(plan))
    return f"/artifacts/artifact/{page}" if page else ""


def _about(plan: Plan) -> str:
    return f"{counted(plan.changes, 'change')}, SHA-256 {plan.digest}"


def _pages(run: UUID) -> dict[str, UUID]:
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted)
    return {page.description or "": page.id for page in found}
