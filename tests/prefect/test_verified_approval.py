"""Approvals that are proven, through a real server: form, command line, and both one by one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pyotp
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.flow_runs import resume_flow_run
from prefect.states import Cancelled, Running
from pydantic import SecretStr

from blocks.load import load_policy
from blocks.policy import ApprovalPolicyBlock
from deployments.answers import answer, waiting
from deployments.reaper import reap
from runbook.approvers import seal
from runbook.approvers.one_time_code import new_secret
from runbook.approvers.policy import ApprovalPolicy, Person, Rule
from runbook.audit import read_trail
from tests.prefect import procedures
from tests.prefect.conftest import (
    ClusterMaker,
    Here,
    approves,
    at_the_command_line,
    world_of,
)
from tests.prefect.room import Room

_BY_SOME = Rule(approvals=1, requester_may_approve=True)


@dataclass(frozen=True)
class Bank:
    """People of a policy of its own: dana with an app, kim with a key, a code in an envelope."""

    name: str
    key: Path
    secret: str = field(default_factory=new_secret)
    sealed: str = field(default_factory=seal.new_code)

    def policy(self, rule: Rule) -> ApprovalPolicy:
        public = self.key.with_suffix(".pub").read_text().strip()
        return ApprovalPolicy(
            name=self.name,
            people={"dana": Person(), "kim": Person(ssh_keys=(public,))},
            totp={"dana": SecretStr(self.secret)},
            rules=(rule,),
            seals=(seal.sealed(self.sealed),),
        )

    def code(self) -> str:
        return pyotp.TOTP(self.secret).at(datetime.now(UTC))


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    path = tmp_path / "kim"
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    subprocess.run(argv, check=True)
    return Bank(f"bank-{uuid4().hex[:8]}", path)


def sign_at_the_command_line(room: Room, touch: Here, run: UUID, key: Path) -> None:
    """Approve as kim with `pg-runbooks approve`, from a shell of its own."""
    answer = ("--as", "kim", "--confirm", touch.cluster, "--reason", "OPS-1", "--key", str(key))
    argv = ("approve", str(run), *answer, "--plan", waiting(run).digest[:12])
    done = at_the_command_line(room, *argv)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_policy_survives_its_block_and_its_secrets_are_not_answered(
    client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    made = bank.policy(Rule(approvals=2, by=("dana", "kim")))
    cluster(policy=made)
    assert load_policy(bank.name) == made
    slug = ApprovalPolicyBlock.get_block_type_slug()
    documents = client.read_block_documents_by_type(slug, include_secrets=False)
    assert bank.name in {document.name for document in documents}
    assert bank.secret not in "".join(document.model_dump_json() for document in documents)


def test_a_wrong_code_in_the_form_is_asked_again_and_the_right_one_completes(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(_BY_SOME)))
    run = touch.create()
    assert touch.go(run).name == "Suspended"
    assert "One person approves (dana, kim)" in waiting(run).question
    form = {"decision": approves(client, run), "approver": "dana", "confirm": touch.cluster}
    resume_flow_run(run, run_input={**form, "code": "000000"}, _sync=True)  # type: ignore[call-arg]
    assert touch.go(run).name == "Suspended"
    asked = waiting(run).question
    assert "did not count: the code is not dana's of that moment. 4 tries left" in asked
    assert world_of(room, touch.cluster) == {"first"}

    used = bank.code()
    resume_flow_run(run, run_input={**form, "code": used}, _sync=True)  # type: ignore[call-arg]
    state = touch.go(run)
    assert state.is_completed(), state.message
    assert world_of(room, touch.cluster) == {"first", "second", "third"}
    path = room.state / "audit" / f"{run}.jsonl"
    told = [e for e in read_trail(path) if e["event"] == "answer"]
    assert [(e["counts"], e["verified"]) for e in told] == [(False, ""), (True, "one-time code")]
    assert used not in path.read_text()

    replayed = touch.create()
    (room.state / "world" / touch.cluster / "third").unlink()
    touch.go(replayed)
    answer(replayed, "approve", approver="dana", confirm=touch.cluster, code=used)
    assert touch.go(replayed).name == "Suspended"
    assert "this code was used before" in waiting(replayed).question


def test_two_people_approve_one_by_one_through_two_doors(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(Rule(approvals=2))))
    run = touch.create()
    touch.go(run)
    sign_at_the_command_line(room, touch, run, bank.key)
    assert touch.go(run).name == "Suspended"
    assert "Approved so far: kim." in waiting(run).question
    assert world_of(room, touch.cluster) == {"first"}
    answer(run, "approve", approver="dana", confirm=touch.cluster, code=bank.code())
    state = touch.go(run)
    assert state.is_completed(), state.message
    told = [e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"]
    assert [(e["approver"], e["verified"]) for e in told] == [
        ("kim", "SSH key"),
        ("dana", "one-time code"),
    ]


def test_a_signature_of_an_earlier_attempt_does_not_approve_the_next(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(_BY_SOME)))
    run = touch.create()
    touch.go(run)
    sign_at_the_command_line(room, touch, run, bank.key)
    touch.go(run)
    told = [e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"]
    stolen = str(told[0]["signature"])
    (room.state / "world" / touch.cluster / "third").unlink()
    other = touch.create()
    touch.go(other)
    answer(other, "approve", approver="kim", confirm=touch.cluster, signature=stolen)
    assert touch.go(other).name == "Suspended"
    assert "no key of kim signed this decision" in waiting(other).question


def test_five_wrong_answers_end_the_run_as_cancelled(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(_BY_SOME)))
    run = touch.create()
    for _ in range(5):
        assert touch.go(run).name == "Suspended"
        answer(run, "approve", approver="mallory", confirm=touch.cluster, code="123456")
    state = touch.go(run)
    assert state.type == StateType.CANCELLED
    assert "5 answers that did not count" in str(state.message)
    assert world_of(room, touch.cluster) == {"first"}


def test_a_sealed_code_opens_in_the_form(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(Rule(approvals=2))))
    run = touch.create()
    touch.go(run)
    answer(run, "approve", approver="night operator", confirm=touch.cluster, code=bank.sealed)
    assert bank.sealed in answers(client, run)
    assert touch.go(run).is_completed()
    told = [e for e in read_trail(room.state / "audit" / f"{run}.jsonl") if e["event"] == "answer"]
    assert [(e["approver"], e["verified"]) for e in told] == [("night operator", "emergency seal")]
    assert bank.sealed not in answers(client, run)


def test_codes_of_a_run_that_ended_in_any_way_are_told_by_no_api(
    room: Room, client: SyncPrefectClient, cluster: ClusterMaker, bank: Bank
) -> None:
    touch = Here(client, procedures.touch, cluster(policy=bank.policy(Rule(approvals=2))))
    refused, lost, cancelled = touch.create(), touch.create(), touch.create()
    for run in (refused, lost, cancelled):
        touch.go(run)
        answer(run, "approve", approver="dana", confirm=touch.cluster, code=bank.code())
    first = bank.code()
    assert touch.go(refused).name == "Suspended"
    assert '"code"' in answers(client, refused), "it is read again with the second person's answer"
    answer(refused, "refuse", approver="kim")
    assert touch.go(refused).type == StateType.CANCELLED
    assert first not in answers(client, refused)
    client.set_flow_run_state(lost, Running(), force=True)
    client.set_flow_run_state(cancelled, Cancelled(), force=True)
    (reaped,) = (each for each in reap(room.state, alone=True) if each.run == str(lost))
    assert reaped.outcome == "Crashed"
    assert '"code"' not in answers(client, lost)
    assert '"code"' not in answers(client, cancelled)


def answers(client: SyncPrefectClient, run: UUID) -> str:
    """Give all that the API tells of what people answered to a run."""
    found = client.filter_flow_run_input(run, key_prefix="", limit=200, exclude_keys=set())
    return "\n".join(each.value for each in found if each.key.endswith("-response"))
