"""Runs that wait for a person: which, until when, and what becomes of them when nobody comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import resume_flow_run

from deployments.settings import POOL
from flows._form import EXPIRED, EXPIRY_MARGIN, Signed, door_key, offered, read_note

_LIMIT = 200


def runs_in(client: SyncPrefectClient, types: list[StateType]) -> list[FlowRun]:
    """Give the newest runs of this project that are in one of the states."""
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)),
            tags=FlowRunFilterTags(all_=[POOL]),
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=_LIMIT,
    )


def waiting_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Give the runs that wait for a person."""
    return runs_in(client, [StateType.PAUSED])


def deadline_of(run: FlowRun) -> datetime | None:
    """Give the moment until which a waiting run can be answered."""
    until = run.state.state_details.pause_timeout if run.state else None
    return until - EXPIRY_MARGIN if until else None


def answer_signed(
    client: SyncPrefectClient, run: FlowRun, given: Mapping[str, str], signed: Signed
) -> None:
    """Answer a waiting run outside the form, with a note of who did; no answer, no note.

    What Prefect raises of an answer that it does not take is raised.
    """
    key = door_key(question_of(run), given)
    said = {**given, "decision": offered(client, run, given["decision"])}
    if read_note(client, run.id, key) is not None:
        client.delete_flow_run_input(run.id, key)
    text = json.dumps(signed.model_dump_json())
    client.create_flow_run_input(run.id, key, text, sender="pg-runbooks")
    try:
        resume_flow_run(run.id, run_input=said, _sync=True)  # type: ignore[call-arg]
    except BaseException:
        client.delete_flow_run_input(run.id, key)
        raise


def question_of(run: FlowRun) -> str:
    """Give the name of the question that a run waits with; empty where it was paused by hand."""
    return str(run.state.state_details.pause_key or "") if run.state else ""


def expire(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Let a run go on that nobody has answered: it takes back its preparations and is cancelled.

    False when somebody has answered in the meantime, or Prefect itself calls it failed now.
    RuntimeError when it cannot be resumed: its process died before its form was saved.
    """
    given = {"decision": "refuse", "approver": "nobody", "reason": EXPIRED, "confirm": ""}
    try:
        answer_signed(client, run, given, Signed(user=EXPIRED))
    except (NotPausedError, FlowPauseTimeout):
        return False
    return True
