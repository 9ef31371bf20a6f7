"""A small history: runs of a little procedure, done by the real driver into a real folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runbook import approve, ensure, fact, step
from runbook.actions import Work
from runbook.approval import Answer, RefusedByPerson, Waiting
from runbook.drive import Driver, Order, Result
from runbook.objectives import RECOVERY_TIME, Objectives
from runbook.plan import Plan
from runbook.run import current
from runbook.watch import LogWatcher

_NONE = Objectives()


@dataclass
class Person:
    """Answers as told; `wait` leaves first, as a suspended run does."""

    decision: str = "approve"
    approver: str = "alice"
    reason: str = "CHG-1"
    wait: bool = False

    def ask(self, plan: Plan, question: str) -> Answer:
        if self.wait:
            raise Waiting
        return Answer.model_validate(
            {
                "decision": self.decision,
                "approver": self.approver,
                "reason": self.reason,
                "confirm": plan.cluster,
                "door": "test",
                "at": datetime.now(UTC),
                "plan_digest": plan.digest,
            }
        )


@dataclass
class History:
    """A state directory and what runs in it."""

    state: Path
    written: int = 0

    @property
    def audit(self) -> Path:
        return self.state / "audit"

    def record(self, run: str) -> Path:
        return self.audit / f"{run}.jsonl"

    def run(
        self,
        run: str,
        person: Person | None = None,
        *,
        cluster: str = "shop",
        reason: str = "why",
        objectives: Objectives = _NONE,
    ) -> Result:
        shelf = self.state / "shelf"

        def put() -> str:
            self.written += 1
            shelf.write_text(str(self.written))
            current().memory.update(objectives.judged(RECOVERY_TIME, 1.5).remembered)
            return f"wrote {self.written}"

        def body() -> None:
            before = self.written
            with step("1", "Look"):
                fact("shelf", "there")
            with step("2", "Ask"):
                approve("Shall it be written?")
            with step("3", "Write"):
                ensure(
                    "it is written",
                    holds=lambda: self.written > before,
                    by=[Work("shelf", "write", put)],
                )

        order = Order(
            "test-write",
            cluster,
            {"cluster": cluster, "reason": reason},
            body,
            tuple,
            requested_by="dana",
            id=run,
        )
        return Driver(self.state, person or Person(), LogWatcher()).run(order)

    def small(self) -> None:
        """Two whole runs, one refused, one that waited and went on."""
        self.run("first")
        with suppress(RefusedByPerson):
            self.run("refused", Person(decision="refuse", reason="not today"))
        with suppress(Waiting):
            self.run("waited", Person(wait=True))
        self.run("waited")
        self.run("last")
