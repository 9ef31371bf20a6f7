"""A world of one file, a person who answers, and a driver for both."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from runbook import approve, ensure, step
from runbook.actions import Work
from runbook.approval import Answer, Nobody
from runbook.drive import Driver, Order, Result
from runbook.plan import Plan
from runbook.watch import LogWatcher


class Door:
    """Answers every question in the same way."""

    def __init__(self, **answer: str) -> None:
        self.answer = {"decision": "approve", "approver": "alice", "confirm": "shop"} | answer
        self.asked: list[Plan] = []

    def ask(self, plan: Plan, question: str) -> Answer:
        self.asked.append(plan)
        digest = self.answer.get("plan_digest", plan.digest)
        fields = {**self.answer, "at": datetime.now(UTC), "plan_digest": digest}
        return Answer.model_validate(fields)


class Shelf:
    """A world of one file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.performed = 0

    def put(self, text: str) -> Work:
        def do() -> str:
            self.performed += 1
            self.path.write_text(text)
            return text

        return Work("shelf", f"write {text}", do)

    def has(self, text: str) -> bool:
        return self.path.exists() and self.path.read_text() == text


def order(body: object, **parameters: str) -> Order:
    """Order a procedure on cluster shop."""
    return Order("test", "shop", {"cluster": "shop", **parameters}, body, tuple)  # type: ignore[arg-type]


def drive(tmp_path: Path, body: object, gate: object = None, *, dry_run: bool = False) -> Result:
    """Run a procedure, or plan it."""
    driver = Driver(tmp_path / "state", gate or Nobody(), LogWatcher())  # type: ignore[arg-type]
    return driver.dry_run(order(body)) if dry_run else driver.run(order(body))


def asking(shelf: Shelf) -> object:
    """Give a procedure that prepares, asks, and changes."""

    def body() -> None:
        with step("1", "Prepare"):
            ensure("prepared", holds=shelf.path.exists, by=[shelf.put("ready")])
        with step("2", "Ask"):
            approve("Shall it be?")
        with step("3", "Change"):
            ensure("changed", holds=lambda: shelf.has("changed"), by=[shelf.put("changed")])

    return body
