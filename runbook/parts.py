"""Parts of a run that do not depend on each other: one that fails stops no other."""

from __future__ import annotations

import time
import traceback
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from runbook.approval import ApprovalNeeded
from runbook.errors import GoalNotReached, Interrupted, RunbookError
from runbook.evidence import Kept, KeptFile, checksum
from runbook.run import Run, current, opened, step
from runbook.watch import log

Outcome = Literal["whole", "failed", "not set", "not known"]


@dataclass(frozen=True)
class Part:
    """What became of a part: what it has kept, or why it has kept nothing or not all."""

    within: str
    runbook: str
    of: str
    outcome: Outcome
    kept: tuple[Kept, ...] = ()
    error: RunbookError | None = None
    why: str = ""

    def __str__(self) -> str:
        return f"{self.runbook} of {self.of}" if self.of else self.runbook

    @property
    def files(self) -> tuple[KeptFile, ...]:
        """Give every file of all that it has kept."""
        return tuple(file for kept in self.kept for file in kept.files)

    @property
    def size(self) -> int:
        """Give their bytes."""
        return sum(file.size for file in self.files)

    def told(self) -> dict[str, object]:
        """Give what the record has of it; of several moments the last end, the first proof."""
        ends = [kept.finished for kept in self.kept if kept.finished]
        proofs = [kept.verified for kept in self.kept]
        return {
            "runbook": self.runbook,
            "of": self.of,
            "outcome": self.outcome,
            "what": ", ".join(dict.fromkeys(kept.what for kept in self.kept)),
            "finished": max(ends).isoformat(timespec="seconds") if ends else "",
            "verified": min(proofs).isoformat(timespec="seconds") if proofs else "",
            "size": self.size,
            "sha256": checksum(self.files) if self.files else "",
            "where": ", ".join(dict.fromkeys(place for kept in self.kept for place in kept.where)),
            "why": str(self.error) if self.error else self.why,
            "objects": [vars(file) for file in sorted(self.files)],
        }


@dataclass
class Parts:
    """The parts of a run, as they end."""

    ended: list[Part] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """Runbooks and the clusters that have not the settings for them."""
    began: float = field(default_factory=time.monotonic)

    @property
    def failed(self) -> tuple[Part, ...]:
        """Give those that are not whole."""
        return tuple(part for part in self.ended if part.outcome == "failed")

    @property
    def whole(self) -> tuple[Part, ...]:
        """Give those that are; in a plan, those that can be done."""
        return tuple(part for part in self.ended if part.outcome == "whole")

    @property
    def by_cluster(self) -> dict[str, dict[str, Outcome]]:
        """Give the outcome of every runbook on every cluster."""
        found: list[tuple[str, str, Outcome]] = [
            *((part.runbook, part.of, part.outcome) for part in self.ended if part.of),
            *((runbook, of, "not set") for runbook, of in self.left_out),
        ]
        clusters = dict.fromkeys(of for _, of, _ in found)
        return {name: {work: end for work, of, end in found if of == name} for name in clusters}

    def leave_out(self, runbook: str, of: str) -> None:
        """Write down that a cluster has not the settings for a runbook."""
        self.left_out.append((runbook, of))

    def carry_out(self, runbook: str, of: str, work: Callable[[], None]) -> Part:
        """Do a part in a step of its own; what fails in it is told at the end of the run.

        It is planned and done as if there were no other. Only an end from outside ends all.
        """
        run = current()
        number = str(1 + sum(part.within == run.position for part in self.ended))
        branch, error = run.part(of), None
        try:
            with opened(branch), step(number, f"{runbook} of {of}"):
                work()
                _insist_on_evidence(branch)
        except ApprovalNeeded:
            raise
        except Exception as failure:  # noqa: BLE001 - it must not cost the other parts their night
            error = failure_of(failure, f"{runbook} of {of}")
        finally:
            run.take(branch, f"{runbook} of {of}")
        outcome: Outcome = "failed" if error else "whole"
        return self.end(runbook, of, outcome, kept=tuple(branch.kept), error=error)

    def end(
        self,
        runbook: str,
        of: str,
        outcome: Outcome,
        *,
        kept: tuple[Kept, ...] = (),
        error: RunbookError | None = None,
        why: str = "",
    ) -> Part:
        """Write down what became of a part."""
        run = current()
        part = Part(run.position, runbook, of, outcome, kept, error, why)
        self.ended.append(part)
        run.record("part", **part.told())
        if error is not None and not run.planning:
            log.warning("%s failed, the other parts go on: %s", part, error.message)
        return part


def failure_of(error: Exception, about: str) -> RunbookError:
    """Give what a part failed with; an end from outside is raised, also out of a failed cleanup.

    Of a defect only type and place are told: its text may be anything, and stays in the log.
    """
    end = _end_within(error)
    if end is not None:
        if end is not error:
            log.error("%s: its end was not clean", about, exc_info=error)
        raise end
    if isinstance(error, RunbookError):
        return error
    log.error("%s", about, exc_info=error)
    (*_, at) = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(at.filename).name} line {at.lineno}"
    return RunbookError(
        f"a defect: {type(error).__name__} in {place}", hint="See the worker's log."
    )


def _end_within(error: BaseException) -> BaseException | None:
    """Find the end from outside that this error came of: what closes things may fail, too."""
    seen, ahead = list[BaseException](), [error]
    while ahead:
        each = ahead.pop()
        if each in seen:
            continue
        seen.append(each)
        if isinstance(each, Interrupted) or _ends(each):
            return each
        ahead += [near for near in (each.__cause__, each.__context__) if near is not None]
    return None


def _ends(error: BaseException) -> bool:
    """Tell whether it ends a process; a generator's or a coroutine's end is within a library."""
    within = (Exception, GeneratorExit, CancelledError)
    return not isinstance(error, within)


def _insist_on_evidence(run: Run) -> None:
    """Believe no part that ends well and has nothing to show."""
    if not run.planning and not run.kept:
        raise GoalNotReached(
            "it ended well, and has kept nothing",
            hint="Do not count on it. See what its steps have told.",
        )
