"""The question to a person in the Prefect UI: the form, and how its answer is read."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Pause
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import BaseModel, BeforeValidator, Field, create_model
from pydantic.config import JsonDict

from flows._policy import approval_of
from flows._watch import plan_page
from runbook.approval import Answer, NotAnswered, Waiting
from runbook.cluster import Approval
from runbook.errors import Refused
from runbook.plan import Plan

# Prefect ends an unanswered run as failed. Ours end as cancelled, by the reaper, and Prefect's own
# time-out only comes after that.
EXPIRY_MARGIN = timedelta(hours=1)


# What the note at a run says that goes on because its time is over.
EXPIRED = "nobody answered in time"


def _decided(said: object) -> str:
    """Give a decision without the plan that an approval in the form names."""
    return str(said).partition(" ")[0]


class ApprovalForm(RunInput):
    """What the form asks."""

    decision: Annotated[Literal["approve", "refuse"], BeforeValidator(_decided)] = Field(
        description="refuse ends the run as cancelled and takes back what it has prepared; "
        "Prefect's own Cancel leaves that there. Nothing has been changed yet."
    )
    approver: str = Field(min_length=2, description="Your name, for the record.")
    reason: str = Field(default="", description="Ticket, or why.")
    confirm: str = Field(default="", description="Type the cluster's name to approve.")


class ProvenForm(ApprovalForm):
    """What the form asks where a policy wants people to prove who they are."""

    code: str = Field(
        default="", description="Your one-time code, or an emergency code; empty when you sign."
    )


class Signed(BaseModel):
    """What the command line leaves beside its answer: who was logged in, and a signature."""

    user: str
    signature: str = ""


class AskedPlan(BaseModel):
    """What a run leaves beside its question for those who sign: the plan itself."""

    plan: Plan
    is_proven: bool


def answer_key(plan: Plan, attempt: int, number: int = 0) -> str:
    """Name a question: the same plan in the same attempt is asked once, anything else again.

    `number` counts answers to it that did not count, or the people who approve one by one.
    """
    return f"approval-{plan.digest[:16]}-{attempt}" + (f"-{number}" if number else "")


def door_key(key: str, given: Mapping[str, object]) -> str:
    """Name the note in which the command line tells who gave this very answer there.

    Another answer to the question does not find it: whoever gives that was not there.
    """
    said = json.dumps([given[name] for name in ("decision", "approver", "reason", "confirm")])
    return f"door-{key}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def plan_key(key: str) -> str:
    """Name the note that holds the plan of a question."""
    return f"plan-{key}"


class SuspendingGate:
    """Asks through the Prefect UI: the run leaves its process and comes back with the answer."""

    def __init__(self, run: FlowRun) -> None:
        self.run = run
        self._asked: Counter[str] = Counter()

    def ask(self, plan: Plan, question: str) -> Answer:
        """Give the answer to this plan, or wait for it, which ends this process."""
        if self.run.deployment_id is None:
            raise Refused(
                f"{plan.runbook} on {plan.cluster} needs an approval and cannot wait for it here",
                detail="a flow run without a deployment cannot be suspended",
                hint="Start it through its deployment, or with `pg-runbooks run` at a terminal.",
            )
        key = answer_key(plan, self.run.run_count, self._asked[plan.digest])
        self._asked[plan.digest] += 1
        settings = approval_of(plan)
        given = self._given(plan, question, key, settings)
        beside = _beside(self.run.id, door_key(key, given.model_dump()))
        asked, answered = _times(self.run.id, key)
        _insist_in_time(plan, beside, asked, answered, settings.deadline)
        return Answer(
            decision=given.decision,
            approver=given.approver,
            reason=given.reason,
            confirm=given.confirm,
            door=f"command line, {beside.user}" if beside.user else "Prefect form",
            at=answered,
            plan_digest=plan.digest,
            question=key,
            code=given.code if isinstance(given, ProvenForm) else "",
            signature=beside.signature,
        )

    def _given(self, plan: Plan, question: str, key: str, settings: Approval) -> ApprovalForm:
        form = _form(plan, question, settings, plan_page(self.run.id, plan))
        patience = int((settings.deadline + EXPIRY_MARGIN).total_seconds())
        _leave(self.run.id, plan_key(key), AskedPlan(plan=plan, is_proven=bool(settings.policy)))
        try:
            return suspend_flow_run(wait_for_input=form, timeout=patience, key=key)
        except Pause as pause:
            raise Waiting from pause


def _insist_in_time(
    plan: Plan, beside: Signed, asked: datetime, answered: datetime, deadline: timedelta
) -> None:
    """NotAnswered when nobody answered, or too late."""
    if beside.user == EXPIRED:
        raise NotAnswered(
            f"{plan.runbook} on {plan.cluster}: {EXPIRED}",
            detail=f"asked {asked:%Y-%m-%d %H:%M} UTC; nothing was changed after the question",
            hint="Start the runbook again.",
        )
    if answered - asked > deadline:
        raise NotAnswered(
            f"{plan.runbook} on {plan.cluster}: the answer came too late",
            detail=f"asked {asked:%Y-%m-%d %H:%M} UTC, answered {answered:%Y-%m-%d %H:%M} UTC",
            hint="Start the runbook again.",
        )


def _form(plan: Plan, question: str, settings: Approval, page: str) -> type[ApprovalForm]:
    """Make the form for one plan: a wrong or missing cluster name is told before it counts.

    Its approval names the plan, so that a form that was opened for an earlier one is not taken.

    The UI gives the text little room, so it begins with what matters and with the way to the page.
    """
    confirm = Field(
        default="",
        pattern=f"^({re.escape(plan.cluster)})?$",
        description=f"Type the cluster's name, {plan.cluster}, to approve.",
    )
    base: type[ApprovalForm] = ProvenForm if settings.policy else ApprovalForm
    form = create_model("ApprovalForm", __base__=base, confirm=(str, confirm))
    form.model_config["json_schema_extra"] = _offered(plan)
    form.model_rebuild(force=True)
    until = f"Answer before {datetime.now(UTC) + settings.deadline:%Y-%m-%d %H:%M} UTC."
    link = f" [The whole plan on a page of its own]({page})." if page else ""
    first, _, more = question.partition("\n\n")
    text = f"**{first}**\n\n{until}{link}\n\n{more}\n\n{plan.markdown()}"
    return form.with_initial_data(description=text)


def _offered(plan: Plan) -> Callable[[JsonDict], None]:
    """Say in the form's schema which plan is approved, and that it needs the cluster's name."""
    approves = f"approve plan {plan.digest[:12]}"

    def extend(schema: JsonDict) -> None:
        fields = cast("dict[str, JsonDict]", schema["properties"])
        fields["decision"]["enum"] = [approves, "refuse"]
        schema["if"] = {"properties": {"decision": {"const": approves}}}
        confirmed: JsonDict = {"confirm": {"const": plan.cluster}}
        schema["then"] = {"required": ["confirm"], "properties": confirmed}

    return extend


def offered(client: SyncPrefectClient, run: FlowRun, decision: str) -> str:
    """Give a decision in the words that the form of a waiting run offers for it."""
    keys = run.state.state_details.run_input_keyset if run.state else None
    if not keys:
        return decision
    found = client.filter_flow_run_input(run.id, keys["schema"], limit=1, exclude_keys=set())
    choices = found[0].decoded_value["properties"]["decision"]["enum"] if found else []
    return next((str(each) for each in choices if _decided(each) == decision), decision)


def _times(run: UUID, key: str) -> tuple[datetime, datetime]:
    """Give when the question was asked and when it was answered."""
    with get_client(sync_client=True) as client:
        states = sorted(client.read_flow_run_states(run), key=lambda state: state.timestamp)
    asked = [i for i, state in enumerate(states) if _asks(state, key)]
    after = states[asked[0] + 1 : asked[0] + 2] or states[asked[0] : asked[0] + 1]
    return states[asked[0]].timestamp, after[0].timestamp


def _asks(state: State[object], key: str) -> bool:
    return state.is_paused() and state.state_details.pause_key == key


def _beside(run: UUID, key: str) -> Signed:
    """Give what the command line left beside an answer; nobody for an answer in the form."""
    with get_client(sync_client=True) as client:
        note = read_note(client, run, key)
    return Signed.model_validate_json(note) if note else Signed(user="")


def _leave(run: UUID, key: str, told: BaseModel) -> None:
    """Leave a note at a run; one that lies there stays."""
    with get_client(sync_client=True) as client:
        if read_note(client, run, key) is None:
            text = json.dumps(told.model_dump_json())
            client.create_flow_run_input(run, key, text, sender="pg-runbooks")


def read_note(client: SyncPrefectClient, run: UUID, key: str) -> str | None:
    """Give a text that was left at a run under a key; None where there is none."""
    found = client.filter_flow_run_input(run, key_prefix=key, limit=10, exclude_keys=set())
    values = [str(one.decoded_value) for one in found if one.key == key]
    return values[0] if values else None
