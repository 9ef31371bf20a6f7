"""Approval through a real Prefect server: the run leaves its process, waits, and comes back."""

from __future__ import annotations

import getpass
import json
import re
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import StateType
from prefect.flow_runs import resume_flow_run
from prefect.states import AwaitingRetry, Paused, Running

from deployments.answers import answer, pending, waiting
from deployments.cli.questions import Given
from deployments.cli.submitted import give
from runbook.audit import read_trail
from runbook.errors import Refused
from tests.prefect import procedures
from tests.prefect.conftest import (
    ClusterMaker,
    Here,
    approves,
    at_the_command_line,
    world_of,
)
from tests.prefect.room import Room


def test_a_dry_run_ends_as_planned_and_changes_nothing(room: Room, touch: Here) -> None:
    run = touch.create(dry_run=True)
    state = touch.go(run)
    assert (state.type, state.name) == (StateType.COMPLETED, "Planned")
    assert state.message == "Dry run: 3 commands would change something."
    assert world_of(room, touch.cluster) == set()
    seen = touch.client.read_flow_run(run)
    assert seen.name == f"touch {touch.cluster} dry run"
    assert {"dry run", "planned"} <= set(seen.tags)


def test_an_approved_run_completes_and_its_record_goes_on(room: Room, touch: Here) -> None:
    run = touch.create(reason="ticket 7")
    assert touch.go(run).name == "Suspended"
    assert world_of(room, touch.cluster) == {"first"}
    asked = waiting(run)
    assert "Touch the others?" in asked.question
    assert "### 2. Touch the second" in asked.question
    assert asked.until is not None
    assert asked.age_seconds < 60
    assert asked.run in {one.run for one in pending()}

    answer(run, "approve", approver="Ada", reason="ticket 7", confirm=touch.cluster)
    state = touch.go(run)
    assert state.is_completed(), state.message
    assert world_of(room, touch.cluster) == {"first", "second", "third"}

    events = read_trail(room.state / "audit" / f"{run}.jsonl")
    names = [str(entry["event"]) for entry in events]
    assert names.count("start") == 2
    assert names.index("asked") < names.index("waiting") < names.index("answer")
    assert names[-1] == "end"
    said = next(entry for entry in events if entry["event"] == "answer")
    assert said["approver"] == "Ada"
    assert str(said["door"]).startswith(f"command line, {getpass.getuser()}@")


def test_the_pages_of_a_run_tell_who_approved_where_the_time_went_and_where_the_proof_lies(
    room: Room, touch: Here
) -> None:
    run = touch.create(reason="ticket 7")
    touch.go(run)
    assert "waiting for approval" in touch.client.read_flow_run(run).tags
    assert not [key for key in pages(touch, run) if key.endswith(("-approval", "-result"))]
    answer(run, "approve", approver="Ada", reason="ticket 7", confirm=touch.cluster)
    state = touch.go(run)
    assert f"pg-runbooks audit show {run}" in str(state.message)
    seen = touch.client.read_flow_run(run)
    assert seen.name == f"touch {touch.cluster}"
    assert {"changed"} == set(seen.tags) & {"changed", "waiting for approval", "dry run"}

    found = pages(touch, run)
    about, approval = found[f"touch-{touch.cluster}-approval"]
    assert about.startswith("approved by Ada at 2")
    assert "| by | Ada |" in approval
    assert f"| through | command line, {getpass.getuser()}@" in approval
    assert "| reason | ticket 7 |" in approval
    about, result = found[f"touch-{touch.cluster}-result"]
    assert about == "2 changes made"
    for wanted in (approval, f"pg-runbooks audit show {run}"):
        assert wanted in result
    assert re.search(r"\| 2 \| Touch the second \| \d[\w. ]* s \|", result), result
    assert str(room.state / "audit" / f"{run}.jsonl") in result


def pages(here: Here, run: UUID) -> dict[str, tuple[str, str]]:
    """Give description and text of each Markdown page of a run, by key; the newest of each."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    found = here.client.read_artifacts(artifact_filter=wanted)
    ordered = sorted(found, key=lambda page: str(page.created))
    return {str(page.key): (str(page.description), str(page.data)) for page in ordered}


def test_a_plan_is_kept_once_however_often_it_is_replayed(touch: Here) -> None:
    run = touch.create()
    touch.go(run)
    answer(run, "approve", confirm=touch.cluster)
    touch.go(run)
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    pages = touch.client.read_artifacts(artifact_filter=wanted)
    about = [page.description for page in pages]
    assert len(about) == len(set(about))
    assert [page.key for page in pages if page.key and page.key.endswith("-result")]


def test_longer_work_shows_how_far_it_is(client: SyncPrefectClient, cluster: ClusterMaker) -> None:
    carry = Here(client, procedures.carry, cluster())
    run = carry.create()
    assert carry.go(run).is_completed()
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    pages = client.read_artifacts(artifact_filter=wanted)
    (page,) = [page for page in pages if page.type == "progress"]
    assert page.data == 100.0
    assert page.key == f"carry-{carry.cluster}-carry-bytes"
    assert str(page.description).startswith("carry bytes: 29 kB of 29 kB, ")


def test_a_refused_run_ends_as_cancelled(room: Room, touch: Here) -> None:
    run = touch.create()
    touch.go(run)
    answer(run, "refuse", approver="Grace", reason="not tonight")
    state = touch.go(run)
    assert state.type == StateType.CANCELLED
    assert "refused by Grace" in str(state.message)
    about, approval = pages(touch, run)[f"touch-{touch.cluster}-approval"]
    assert about.startswith("refused by Grace at 2")
    assert "| reason | not tonight |" in approval
    assert "not tonight" in str(state.message)
    assert world_of(room, touch.cluster) == {"first"}
    assert "refused" in touch.client.read_flow_run(run).tags


def test_a_mistyped_name_is_not_accepted_and_the_run_goes_on_waiting(touch: Here) -> None:
    run = touch.create()
    touch.go(run)
    with pytest.raises(Refused, match="not accepted"):
        answer(run, "approve", confirm="shopp")
    with pytest.raises(Refused, match="not accepted"):
        answer(run, "approve", approver="x", confirm=touch.cluster)
    with pytest.raises(Refused, match="not accepted"):
        answer(run, "approve", confirm="")
    assert waiting(run).run == run
    answer(run, "approve", approver="Ada", confirm=touch.cluster)
    assert touch.go(run).is_completed()


def test_an_answer_in_the_form_is_not_his_who_mistyped_at_the_command_line(
    room: Room, touch: Here
) -> None:
    run = touch.create()
    touch.go(run)
    with pytest.raises(Refused, match="not accepted"):
        answer(run, "approve", approver="dana", confirm="shopp")
    given = {"approver": "Grace", "reason": "", "confirm": touch.cluster}
    given["decision"] = approves(touch.client, run)
    resume_flow_run(run, run_input=given)
    assert touch.go(run).is_completed()
    (entry,) = [
        e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"
    ]
    assert (entry["approver"], entry["door"]) == ("Grace", "Prefect form")


def test_a_retry_of_a_failed_run_asks_again_and_completes(room: Room, touch: Here) -> None:
    (room.state / "world" / touch.cluster).mkdir(parents=True)
    broken = room.state / "world" / touch.cluster / "broken"
    broken.touch()
    run = touch.create()
    touch.go(run)
    answer(run, "approve", confirm=touch.cluster)
    state = touch.go(run)
    assert state.type == StateType.FAILED
    assert str(state.message).startswith("ERROR:  touch step 2: not so: the disk is whole")
    assert "HINT:   Mend it." in str(state.message)

    broken.unlink()
    touch.client.set_flow_run_state(run, AwaitingRetry())
    assert touch.go(run).name == "Suspended"
    assert "third is there" in waiting(run).question
    answer(run, "approve", confirm=touch.cluster)
    state = touch.go(run)
    assert state.is_completed(), state.message


def test_a_world_that_changed_meanwhile_is_asked_about_again(room: Room, touch: Here) -> None:
    run = touch.create()
    touch.go(run)
    (room.state / "world" / touch.cluster / "second").touch()
    answer(run, "approve", confirm=touch.cluster)
    assert touch.go(run).name == "Suspended"
    answer(run, "approve", confirm=touch.cluster)
    assert touch.go(run).is_completed()


def test_an_answer_counts_only_for_the_plan_that_was_read(room: Room, touch: Here) -> None:
    run = touch.create()
    touch.go(run)
    read = waiting(run)
    form = {"decision": approves(touch.client, run), "approver": "Ada", "confirm": touch.cluster}
    (room.state / "world" / touch.cluster / "second").touch()
    answer(run, "approve", approver="Bob", confirm=touch.cluster)
    assert touch.go(run).name == "Suspended"
    ada = Given("approve", "Ada", "", touch.cluster)
    with pytest.raises(Refused, match="asks something else by now") as refused:
        give(read, ada)
    assert f"pg-runbooks approve {run}" in refused.value.hint
    with pytest.raises(RuntimeError, match=r"'approve plan \w{12}' is not one of"):
        resume_flow_run(run, run_input=form, _sync=True)  # type: ignore[call-arg]
    give(waiting(run), ada)
    assert touch.go(run).is_completed()
    told = [e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"]
    assert [entry["approver"] for entry in told] == ["Ada"]


def test_an_answer_without_the_plan_being_shown_names_the_plan_that_was_read(
    room: Room, touch: Here
) -> None:
    """Two people at two terminals: one has read, the other answers, and the run asks anew."""
    run = touch.create()
    touch.go(run)
    argv = ("approve", str(run), "--as", "Ada", "--confirm", touch.cluster)
    listed = json.loads(at_the_command_line(room, "pending", "--json").stdout)
    [read] = [one for one in listed if one["run"] == str(run)]
    (room.state / "world" / touch.cluster / "second").touch()
    answer(run, "approve", approver="Bob", confirm=touch.cluster)
    assert touch.go(run).name == "Suspended"
    old = ("--plan", read["plan_digest"][:12])
    for given, told in (((), "--plan must name the plan"), (old, "about another plan by now")):
        refused = at_the_command_line(room, *argv, *given)
        assert refused.returncode != 0, refused.stdout
        assert told in refused.stderr
        assert f"Read it: pg-runbooks approve {run}" in refused.stderr
    shown = at_the_command_line(room, "approve", str(run))
    assert "Touch the others?" in shown.stdout
    named = f"--plan {waiting(run).digest[:12]}"
    assert named in shown.stderr
    done = at_the_command_line(room, *argv, *named.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert touch.go(run).is_completed()


def test_a_run_that_was_paused_by_hand_hides_no_other_and_is_not_answered(
    room: Room, touch: Here
) -> None:
    asks, stray = touch.create(), touch.create()
    touch.go(asks)
    for state in (Running(), Paused()):
        touch.client.set_flow_run_state(stray, state)
    listed = {
        one["run"]: one for one in json.loads(at_the_command_line(room, "pending", "--json").stdout)
    }
    assert listed[str(asks)]["plan_digest"] == waiting(asks).digest
    assert listed[str(stray)]["plan_digest"] == ""
    for given in ((), ("--refuse",), ("--as", "Ada", "--confirm", touch.cluster)):
        refused = at_the_command_line(room, "approve", str(stray), *given)
        assert refused.returncode == 3, refused.stdout
        assert "it asks nothing: it was paused by hand" in refused.stderr
    seen = touch.client.read_flow_run(stray).state
    assert seen is not None
    assert seen.is_paused()


def test_a_run_with_nothing_to_do_says_so_and_asks_nobody(room: Room, touch: Here) -> None:
    folder = room.state / "world" / touch.cluster
    folder.mkdir(parents=True)
    for name in ("first", "second", "third"):
        (folder / name).touch()
    state = touch.go(touch.create())
    assert state.is_completed()
    assert state.message == "Nothing to do: everything was already so."


def test_a_run_that_did_less_than_its_name_says_ends_with_that(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker
) -> None:
    short = Here(client, procedures.fall_short, cluster())
    for text in ("1 change was made.", "Nothing to do: everything was already so."):
        run = short.create()
        state = short.go(run)
        assert state.is_completed()
        assert str(state.message).startswith(f"APART: the first alone. {text}")
        assert "apart" in short.client.read_flow_run(run).tags
    assert world_of(room, short.cluster) == {"first"}


def test_the_settings_can_let_a_runbook_go_without_asking(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker
) -> None:
    touch = Here(client, procedures.touch, cluster(without=("touch",)))
    run = touch.create()
    assert touch.go(run).is_completed()
    events = read_trail(room.state / "audit" / f"{run}.jsonl")
    assert "the settings" in {entry.get("approver") for entry in events}
