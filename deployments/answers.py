"""Waiting runs and the answers to them from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import FlowPauseTimeout, NotPausedError, ObjectNotFound

from deployments.orders import requested_by
from deployments.waiting import answer_signed, deadline_of, question_of, waiting_runs
from flows._form import AskedPlan, Signed, plan_key, read_note
from runbook.errors import Refused, SettingsError
from runbook.plan import Plan


@dataclass(frozen=True)
class Waiting:
    """A run that waits for a person: what it asks (Markdown), since when, and until when.

    `plan` is what is signed; `is_proven` tells that a name alone does not count.
    """

    run: UUID
    name: str
    cluster: str
    asked_at: datetime
    until: datetime | None
    question: str
    key: str = ""
    plan: Plan | None = None
    is_proven: bool = False

    @property
    def digest(self) -> str:
        """Give the SHA-256 of the plan it asks about, or its beginning, which its question has.

        Empty where it asks nothing: it was paused by hand.
        """
        return self.plan.digest if self.plan else "".join(self.key.split("-")[1:2])

    @property
    def short_digest(self) -> str:
        """Give as much of it as the form names the plan by."""
        return self.digest[:12]

    @property
    def age_seconds(self) -> float:
        """Give how long it has been waiting."""
        return (datetime.now(UTC) - self.asked_at).total_seconds()


def pending() -> tuple[Waiting, ...]:
    """List the runs that wait for an answer, the one that expires first at the top."""
    with get_client(sync_client=True) as client:
        found = [_waiting(client, run) for run in waiting_runs(client)]
    return tuple(sorted(found, key=lambda one: (one.until is None, one.until or one.asked_at)))


def waiting(run: UUID) -> Waiting:
    """Give one waiting run with its plan; Refused when it does not wait."""
    with get_client(sync_client=True) as client:
        return _waiting(client, _paused(client, run))


def answer(
    run: UUID,
    decision: Literal["approve", "refuse"],
    *,
    question: str = "",
    approver: str = "",
    reason: str = "",
    confirm: str = "",
    code: str = "",
    signature: str = "",
) -> None:
    """Answer a waiting run as the user of this machine, whatever name is given beside it.

    `question` is the one that was read: Refused where the run asks another by now.
    The run goes on in a worker, which judges code or signature; follow it with
    `deployments.orders.follow`.
    """
    user = requested_by()
    given = {
        "decision": decision,
        "approver": approver or user,
        "reason": reason,
        "confirm": confirm,
        **({"code": code} if code else {}),
    }
    signed = Signed(user=user, signature=signature)
    try:
        with get_client(sync_client=True) as client:
            found = _paused(client, run)
            _insist_on(question, found)
            answer_signed(client, found, given, signed)
    except NotPausedError:
        raise _not_waiting(run, "somebody else was faster") from None
    except FlowPauseTimeout:
        raise _not_waiting(run, "its time for an answer is over") from None
    except RuntimeError as error:
        raise Refused(
            "the answer was not accepted",
            detail=str(error),
            hint="To approve, confirm must be the cluster's name; the run goes on waiting.",
        ) from error


def _paused(client: SyncPrefectClient, run: UUID) -> FlowRun:
    try:
        found = client.read_flow_run(run)
    except ObjectNotFound:
        raise SettingsError(f"the server knows no run {run}") from None
    if found.state is None or not found.state.is_paused():
        raise _not_waiting(run, f"it is {found.state_name}")
    if not question_of(found):
        raise Refused(
            f"run {run} cannot be answered",
            detail="it asks nothing: it was paused by hand",
            hint="Resume or cancel it in Prefect.",
        )
    return found


def _insist_on(question: str, run: FlowRun) -> None:
    """Refused when a run does not ask any more what was read."""
    if question and question_of(run) != question:
        raise Refused(
            f"run {run.id} asks something else by now",
            detail="what you have read was answered meanwhile; your answer was not given",
            hint=f"Read what it asks now, and answer that: pg-runbooks approve {run.id}",
        )


def _not_waiting(run: UUID, detail: str) -> Refused:
    return Refused(
        f"run {run} does not wait for an answer",
        detail=detail,
        hint="`pg-runbooks pending` lists the runs that wait.",
    )


def _waiting(client: SyncPrefectClient, run: FlowRun) -> Waiting:
    assert run.state is not None
    key = question_of(run)
    note = read_note(client, run.id, plan_key(key))
    asked = AskedPlan.model_validate_json(note) if note else None
    return Waiting(
        run=run.id,
        name=run.name,
        cluster=str(run.parameters.get("cluster", "")),
        asked_at=run.state.timestamp,
        until=deadline_of(run),
        question=_question(client, run),
        key=key,
        plan=asked.plan if asked else None,
        is_proven=asked.is_proven if asked else False,
    )


def _question(client: SyncPrefectClient, run: FlowRun) -> str:
    assert run.state is not None
    keys = run.state.state_details.run_input_keyset or {}
    return read_note(client, run.id, keys.get("description", "")) or ""
