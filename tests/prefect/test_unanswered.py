"""Runs that wait for an answer which comes too late, or never: each ends once, and is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelled, Cancelling, Running

from deployments.answers import answer, waiting
from deployments.reaper import reap
from runbook.audit import read_trail
from runbook.audit.history import past_runs
from runbook.audit.verification import verified
from runbook.errors import Refused
from tests.prefect import procedures
from tests.prefect.conftest import ClusterMaker, Here, world_of
from tests.prefect.room import Room


def test_nobody_answering_in_time_takes_back_what_was_prepared_and_ends_as_cancelled(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker
) -> None:
    prepare = Here(client, procedures.prepare, cluster(timedelta(minutes=10)))
    run = prepare.create()
    prepare.go(run)
    assert world_of(room, prepare.cluster) == {"prepared"}
    now = datetime.now(UTC)
    assert str(run) not in {one.run for one in reap(room.state, now=now + timedelta(minutes=9))}
    assert waiting(run).run == run
    assert str(run) in {one.run for one in reap(room.state, now=now + timedelta(minutes=11))}
    with pytest.raises(Refused, match="does not wait"):
        answer(run, "approve", confirm=prepare.cluster)
    state = prepare.go(run)
    assert (state.type, state.name) == (StateType.CANCELLED, "Cancelled")
    assert "nobody answered in time" in str(state.message)
    assert "not answered" in client.read_flow_run(run).tags
    assert world_of(room, prepare.cluster) == set()


def test_a_run_that_was_killed_before_its_form_was_saved_stops_no_other_at_the_deadline(
    room: Room, touch: Here
) -> None:
    """Prefect suspends a run first, and saves the schema of its form then."""
    other, killed = touch.create(), touch.create()
    for run in (other, killed):
        assert touch.go(run).name == "Suspended"
    state = touch.client.read_flow_run(killed).state
    assert state is not None
    keys = state.state_details.run_input_keyset or {}
    touch.client.delete_flow_run_input(killed, keys["schema"])
    reaped = reap(room.state, now=datetime.now(UTC) + timedelta(hours=2))
    ended = {one.run: one.outcome for one in reaped}
    assert (ended[str(killed)], ended[str(other)]) == ("Cancelled", "Resumed")
    assert touch.client.read_flow_run(killed).state_name == "Cancelled"
    assert touch.go(other).type == StateType.CANCELLED


def test_a_run_that_was_cancelled_while_it_waited_ends_in_its_record_and_only_once(
    room: Room, touch: Here
) -> None:
    runs = cancelled, idle, waits, approved, elsewhere = [touch.create() for _ in range(5)]
    for run in runs:
        assert touch.go(run).name == "Suspended"
    for run in (idle, approved, elsewhere):
        answer(run, "approve", approver="Ada", confirm=touch.cluster)
    for state in (Running(), Cancelled(message="refused by Rita, in a worker of another host")):
        touch.client.set_flow_run_state(elsewhere, state, force=True)
    for run in (cancelled, idle):
        touch.client.set_flow_run_state(run, Cancelling())
        assert touch.client.read_flow_run(run).state_name == "Cancelled"
    for _ in range(2):
        reap(room.state)
    audit = room.state / "audit"
    asked, answered, *others = [read_trail(audit / f"{run}.jsonl") for run in runs]
    for ended, when in ((asked, "while it waited"), (answered, "after an answer that nothing")):
        assert [entry["event"] for entry in ended][-2:] == ["waiting", "end"]
        assert ended[-1]["outcome"] == "NotAnswered"
        assert f"cancelled in Prefect {when}" in str(ended[-1]["error"])
    assert [entries[-1]["event"] for entries in others] == ["waiting"] * 3
    told = {past.run: past.outcome for past in past_runs(audit)}
    assert (told[str(cancelled)], told[str(waits)]) == ("not answered", "waiting")
    assert not [seen for seen in verified(audit).findings if seen.level == "broken"]
    assert touch.go(approved).is_completed()


def test_an_answer_after_the_deadline_is_too_late_even_without_a_reaper(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker
) -> None:
    touch = Here(client, procedures.touch, cluster(timedelta(seconds=0)))
    run = touch.create()
    with room.no_reaper():
        touch.go(run)
        answer(run, "approve", confirm=touch.cluster)
    state = touch.go(run)
    assert state.type == StateType.CANCELLED
    assert "too late" in str(state.message)
    assert world_of(room, touch.cluster) == {"first"}
