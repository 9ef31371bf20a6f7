"""The approval of a plan by a named person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from runbook.actions import Action
from runbook.errors import Refused
from runbook.plan import Plan


class Answer(BaseModel):
    """What a person answered when shown a plan."""

    model_config = ConfigDict(frozen=True)
    decision: Literal["approve", "refuse"]
    approver: str = Field(min_length=2, description="Who answers.")
    reason: str = Field(default="", description="Ticket, or why.")
    confirm: str = Field(default="", description="The cluster's name, typed by hand.")
    door: str = Field(default="", description="How the answer came: form, command line, terminal.")
    at: datetime
    plan_digest: str = Field(description="SHA-256 of the plan that was shown.")
    question: str = Field(default="", description="The question's name: each is answered once.")
    code: str = Field(default="", repr=False, description="One-time or emergency code.")
    signature: str = Field(default="", repr=False, description="Over the decision, by an SSH key.")

    def for_record(self) -> dict[str, object]:
        """Give the fields for an audit entry, whose own `at` is when it was written.

        A signature is evidence for ever; a code is spent and proves nothing any more.
        """
        fields = self.model_dump(mode="json", exclude={"code"})
        fields["answered_at"] = fields.pop("at")
        return {k: v for k, v in fields.items() if v != "" or k not in ("question", "signature")}


class RefusedByPerson(Refused):
    """A person looked at the plan and said no; the run ends as cancelled."""


class NotApproved(RefusedByPerson):
    """No answer of too many proved to be from somebody who may approve; it ends as cancelled."""


class NotAnswered(Refused):
    """Nobody answered in time; the run ends as cancelled."""


class ApprovalNeeded(Exception):
    """The run has come to the question; everything behind it waits for an answer."""

    def __init__(self, plan: Plan, question: str, if_refused: Sequence[Action] = ()) -> None:
        super().__init__(question)
        self.plan = plan
        self.question = question
        self.if_refused = if_refused


class Waiting(BaseException):
    """The answer comes later and to another process: this one leaves, and the run goes on there."""


class Gate(Protocol):
    """A way to ask a person."""

    def ask(self, plan: Plan, question: str) -> Answer:
        """Show the plan and wait for the answer; NotAnswered after the deadline.

        A gate that cannot wait in this process raises Waiting.
        """


class Nobody:
    """The gate of runs that have nobody to ask: it refuses."""

    def ask(self, plan: Plan, question: str) -> Answer:
        """Refuse."""
        raise Refused(
            f"{plan.runbook} on {plan.cluster} needs an approval and nobody can be asked here",
            detail=question,
            hint="Run it at a terminal, or through its deployment in the Prefect UI.",
        )


def accepted(answer: Answer, plan: Plan) -> Answer:
    """Check an answer against the plan it is for; refusals end the run, nothing was changed."""
    if answer.plan_digest != plan.digest:
        raise Refused(
            "the answer is for another plan",
            detail=f"answered {answer.plan_digest[:12]}, asked {plan.digest[:12]}",
            hint="Read the new plan and answer again.",
        )
    if answer.decision == "refuse":
        raise RefusedByPerson(
            f"the plan was refused by {answer.approver}: {answer.reason or 'no reason given'}",
            detail=f"{plan.runbook} on {plan.cluster}, plan {plan.digest[:12]}",
        )
    if answer.confirm != plan.cluster:
        raise RefusedByPerson(
            f"the approval of {answer.approver} does not count",
            detail=f"typed {answer.confirm!r}, the cluster's name is {plan.cluster!r}",
            hint="Start the runbook again, and give the cluster's name as it is written here.",
        )
    return answer
