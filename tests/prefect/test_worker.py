"""Real worker processes: waiting, power cuts, schedules, missed nights, draining."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run

from deployments.orders import Standing, Told, follow, order, standing
from deployments.settings import POOL, ControlRoom
from deployments.up import Launcher
from runbook.audit import read_trail
from runbook.errors import RunbookError
from runbook.lock import holder_of
from tests.prefect import procedures
from tests.prefect.conftest import Here, approves, world_of
from tests.prefect.nights import late, miss_nights, no_worker, runs_of
from tests.prefect.room import Room, until

ACTIVE = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def _follow(run: UUID, lines: list[Told] | None = None, **how: bool) -> Standing:
    kept = [] if lines is None else lines
    return follow(run, kept.append, timeout=180, **how)


def _approve_in_the_form(client: SyncPrefectClient, run: UUID, cluster: str) -> None:
    given = {"approver": "Ada", "reason": "", "confirm": cluster}
    given["decision"] = approves(client, run)
    resume_flow_run(run, run_input=given)


def _active(client: SyncPrefectClient) -> list[FlowRun]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=ACTIVE))
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state))


def test_a_waiting_run_survives_a_restart_of_server_worker_and_reaper(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    lines: list[Told] = []
    run = order("touch", name, {"dry_run": False})
    assert _follow(run, lines).waiting
    assert any("step 1: Touch the first" in line.text for line in lines)
    room.kill_everything()
    room.start()
    assert standing(run).waiting, standing(run)
    _approve_in_the_form(client, run, name)
    end = _follow(run, until_waiting=False)
    assert end.completed, end
    assert world_of(room, name) == {"first", "second", "third"}
    answers = [
        e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"
    ]
    assert [e["door"] for e in answers] == ["Prefect form"]


def test_a_power_cut_leaves_nothing_running_and_no_lock_held(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    run = order("hold", name, {"dry_run": False})
    until(lambda: "held" in world_of(room, name), 180, lambda: str(standing(run)))
    until(lambda: bool(holder_of(room.state / "locks", name)), 180)
    room.kill_everything(str(run))
    until(lambda: holder_of(room.state / "locks", name) == "", 180)
    room.start()
    assert _active(client) == []
    end = standing(run)
    assert end.state == "Crashed"
    assert "is gone" in end.message
    assert room.mark(str(run)) is None
    again = order("hold", name, {"dry_run": False, "seconds": 0})
    assert _follow(again).completed


def test_a_killed_launcher_alone_leaves_no_second_server(room: Room) -> None:
    assert room.launcher is not None
    before = [room.pid("server"), room.pid("worker")]
    room.launcher.kill()
    room.launcher.wait(10)
    room.start()
    assert "left running" in room.log.read_text()
    after = [room.pid("server"), room.pid("worker")]
    assert not set(before) & set(after)


def test_a_launcher_leaves_the_server_alone_that_has_its_port(
    room: Room, client: SyncPrefectClient, tmp_path: Path
) -> None:
    told: list[str] = []
    stranger = Launcher(ControlRoom(port=room.where.port, state=tmp_path / "other"), told.append)
    with pytest.raises(RunbookError, match=f"already listens on 127.0.0.1:{room.where.port}") as no:
        stranger.run()
    assert f"PREFECT_API_URL={room.where.api} pg-runbooks up --no-server" in no.value.hint
    assert told == []
    assert len(client.read_workers_for_work_pool(POOL)) == 1
    assert not (tmp_path / "other" / "children").exists()


def test_stopping_lets_a_short_run_end_and_says_what_it_cut_off(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    run = order("hold", name, {"dry_run": False})
    until(lambda: "held" in world_of(room, name), 180, lambda: str(standing(run)))
    room.stop()
    assert room.launcher is not None
    assert room.launcher.returncode == 0
    assert "waiting for hold" in room.log.read_text()
    assert f"({run}): Crashed" in room.log.read_text()
    assert not list((room.state / "children").glob("*.json"))
    room.start(drain=60)
    assert _active(client) == []
    short = order("hold", name, {"dry_run": False, "seconds": 5})
    until(lambda: room.mark(str(short)) is not None, 180, lambda: str(standing(short)))
    room.stop()
    assert "Crashed" not in room.log.read_text()
    room.start()
    assert standing(short).completed, standing(short)


def test_a_run_goes_on_without_its_server_which_is_started_again(room: Room, deployed: str) -> None:
    name = deployed
    run = order("hold", name, {"dry_run": False, "seconds": 20})
    until(lambda: "held" in world_of(room, name), 180, lambda: str(standing(run)))
    before = room.pid("server")
    os.kill(before, signal.SIGKILL)
    until(lambda: room.pid("server") != before and _answers(), 180, room.log.read_text)
    assert "the server has ended by itself" in room.log.read_text()
    assert _follow(run).completed
    assert world_of(room, name) == {"held", "slept"}


def _answers() -> bool:
    with get_client(sync_client=True) as client:
        return client.api_healthcheck() is None


def test_a_run_goes_on_when_its_launcher_is_killed_and_started_again(
    room: Room, deployed: str
) -> None:
    name = deployed
    run = order("hold", name, {"dry_run": False, "seconds": 20})
    until(lambda: "held" in world_of(room, name), 180, lambda: str(standing(run)))
    assert room.launcher is not None
    room.launcher.kill()
    room.launcher.wait(10)
    room.start()
    assert "waiting for hold" in room.log.read_text()
    assert standing(run).completed, standing(run)


def test_a_deployment_with_a_cron_gets_its_runs(client: SyncPrefectClient, deployed: str) -> None:
    name = deployed
    deployment = client.read_deployment_by_name(f"tick/{name}")
    schedule = deployment.schedules[0]
    assert (schedule.slug, schedule.active) == ("nightly", True)
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "Europe/Berlin")
    until(lambda: len(runs_of(client, deployment.id)) >= 3, 180)
    runs = runs_of(client, deployment.id)
    assert {run.state_name for run in runs} == {"Scheduled"}
    assert all(run.auto_scheduled and run.parameters["dry_run"] is False for run in runs)


def test_three_missed_nights_are_made_up_by_one_run(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    with no_worker(client):
        deployment = _miss_three_nights(client, name)
    until(lambda: all(_ended(run) for run in late(client, deployment)), 180)
    names = [str(run.state_name) for run in late(client, deployment)]
    assert names.count("Completed") == 1, names
    assert set(names) <= {"Completed", "Skipped", "Cancelled"}
    ticks = room.state / "world" / name / "ticks"
    assert len(ticks.read_text().splitlines()) == 1


def test_late_nights_one_after_the_other_are_skipped_after_the_first(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    with no_worker(client):
        deployment = _miss_three_nights(client, name)
        for run in sorted(late(client, deployment), key=lambda run: str(run.expected_start_time)):
            run_flow(procedures.tick, flow_run=run, return_type="state")
    runs = sorted(late(client, deployment), key=lambda run: str(run.expected_start_time))
    assert [run.state_name for run in runs] == ["Completed", "Skipped", "Skipped"]
    assert "skipped" in runs[1].tags
    ticks = room.state / "world" / name / "ticks"
    assert len(ticks.read_text().splitlines()) == 1


def test_a_night_that_meets_a_run_of_its_own_is_skipped_and_neither_holds_a_lease(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    """A run that holds a lease is ended wherever it stands when its server is away."""
    name, ticks = deployed, room.state / "world" / deployed / "ticks"
    slow = ticks.with_suffix(".slow")
    slow.parent.mkdir(parents=True)
    slow.touch()
    run = order("tick", name, {"dry_run": False})
    until(lambda: bool(holder_of(room.state / "locks", name)), 180, lambda: str(standing(run)))
    state = client.read_flow_run(run).state
    assert state is not None
    assert state.state_details.deployment_concurrency_lease_id is None
    deployment = client.read_deployment_by_name(f"tick/{name}").id
    miss_nights(client, deployment, count=1, beside=1)
    (night,) = [one for one in late(client, deployment) if one.id != run]
    end = _follow(night.id)
    slow.unlink()
    assert (end.state, str(run) in end.message) == ("Skipped", True), end
    assert _follow(run).completed
    assert ticks.read_text().splitlines() == [str(run)]


def _miss_three_nights(client: SyncPrefectClient, name: str) -> UUID:
    deployment = client.read_deployment_by_name(f"tick/{name}").id
    miss_nights(client, deployment, count=3)
    return deployment


def _ended(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def test_a_line_that_comes_late_is_told_and_each_only_once(
    client: SyncPrefectClient, deployed: str
) -> None:
    """A process of the run sends its lines by itself, seconds after they were written."""
    run = Here(client, procedures.touch, deployed).create()
    began = datetime.now(UTC)
    told: list[str] = []

    def write(second: int) -> None:
        at = began + timedelta(seconds=second)
        client.create_logs(
            [LogCreate(name="late", level=20, message=str(second), timestamp=at, flow_run_id=run)]
        )

    def tell(line: Told) -> None:
        told.append(line.text)
        if line.text == "3":
            write(2)

    write(1)
    write(3)
    follow(run, tell, timeout=3)
    assert told == ["1", "3", "2"]
