"""Approvals by people who prove who they are, through the real driver."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from runbook.approval import NotApproved, RefusedByPerson, Waiting
from runbook.approvers.ledger import Ledger, is_locked
from runbook.approvers.policy import Rule
from runbook.errors import Refused
from tests.lab.listener import QuietHandler, listening
from tests.unit.approvers.scene import Bank, Reply, answers


@dataclass
class Alarm:
    """A listener for alarms, over HTTP."""

    address: str = ""
    heard: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("kim", "stranger"):
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / f"{name}.key"))
        subprocess.run(argv, check=True)
    return folder


@pytest.fixture
def bank(tmp_path: Path, keys: Path) -> Bank:
    return Bank(tmp_path, keys)


def refused(bank: Bank, *replies: Reply, requested_by: str = "oper@desk") -> str:
    """Answer, see it not count and the run ask again, and give why."""
    with pytest.raises(Waiting):
        bank.run(*replies, run="refused", requested_by=requested_by)
    assert not bank.shelf.exists()
    name, counts, why = answers(bank.record("refused"))[-1]
    assert (name, counts) == (replies[-1].approver, False)
    assert bank.gate is not None
    assert why in bank.gate.questions[-1]
    return why


def test_a_one_time_code_proves_its_person(bank: Bank) -> None:
    bank.run(Reply("dana", bank.code("dana")), run="one")
    assert bank.shelf.exists()
    assert answers(bank.record("one")) == [("dana", True, "one-time code")]
    assert bank.code("dana") not in json.dumps(bank.record("one"))


def test_a_signature_over_the_plan_and_the_run_proves_its_person(bank: Bank) -> None:
    bank.run(Reply("kim", key=bank.key("kim")), run="one")
    assert bank.shelf.exists()
    assert answers(bank.record("one")) == [("kim", True, "SSH key")]
    kept = [e for e in bank.record("one") if e["event"] == "answer"]
    assert "BEGIN SSH SIGNATURE" in str(kept[0]["signature"])


def test_a_wrong_code_is_refused_and_asked_again(bank: Bank) -> None:
    why = refused(bank, Reply("dana", "000000"))
    assert why == "the code is not dana's of that moment"
    bank.run(Reply("dana", bank.code("dana")), run="two")
    assert bank.shelf.exists()


def test_the_code_of_another_person_is_refused(bank: Bank) -> None:
    assert "not dana's" in refused(bank, Reply("dana", bank.code("eli")))


def test_a_code_is_good_once(bank: Bank) -> None:
    code = bank.code("dana")
    bank.run(Reply("dana", code), run="one")
    bank.shelf.unlink()
    assert refused(bank, Reply("dana", code)) == "this code was used before"


def test_an_old_code_is_refused_whatever_moment_a_server_tells(bank: Bank) -> None:
    ago = timedelta(hours=2)
    old = bank.code("dana", ago)
    assert "not dana's" in refused(bank, Reply("dana", old))
    assert "not dana's" in refused(bank, Reply("dana", old, late=ago))


def test_a_run_that_waited_for_a_worker_still_takes_the_code(bank: Bank) -> None:
    ago = timedelta(minutes=5)
    bank.run(Reply("dana", bank.code("dana", ago), late=ago))
    assert bank.shelf.exists()


def test_the_signature_of_another_key_is_refused(bank: Bank) -> None:
    assert "no key of kim" in refused(bank, Reply("kim", key=bank.key("stranger")))


def test_a_signature_under_another_plan_is_refused(bank: Bank) -> None:
    assert "no key of kim" in refused(bank, Reply("kim", key=bank.key("kim"), about="f" * 64))


def test_a_name_alone_and_a_stranger_are_refused(bank: Bank) -> None:
    assert "neither a one-time code nor a signature" in refused(bank, Reply("dana"))
    assert "not among the people" in refused(bank, Reply("mallory", bank.code("dana")))


def test_who_asked_for_the_run_cannot_approve_it(bank: Bank) -> None:
    reply = Reply("dana", bank.code("dana"))
    assert "asked for this run" in refused(bank, reply, requested_by="dana@desk")
    bank.rule = Rule(approvals=1, requester_may_approve=True)
    bank.run(Reply("dana", bank.code("dana")), requested_by="dana@desk")
    assert bank.shelf.exists()


def test_it_takes_two_people_where_nobody_knows_who_asked(bank: Bank) -> None:
    dana, kim = Reply("dana", bank.code("dana")), Reply("kim", key=bank.key("kim"))
    with pytest.raises(Waiting):
        bank.run(dana, run="one", requested_by="Prefect UI or API")
    assert not bank.shelf.exists()
    bank.run(dana, kim, run="one", requested_by="Prefect UI or API")
    assert bank.shelf.exists()


def test_two_people_are_two_people(bank: Bank) -> None:
    bank.rule = Rule(approvals=2)
    dana = Reply("dana", bank.code("dana"))
    again = Reply("dana", bank.code("dana", timedelta(seconds=30)), late=timedelta(seconds=30))
    with pytest.raises(Waiting):
        bank.run(dana, again, run="one")
    assert answers(bank.record("one"))[-1][2].startswith("dana has approved already")
    bank.run(dana, again, Reply("kim", key=bank.key("kim")), run="one")
    assert bank.shelf.exists()
    assert [name for name, counts, _ in answers(bank.record("one")) if counts] == ["dana", "kim"]


def test_only_who_the_rule_names_may_approve(bank: Bank) -> None:
    bank.rule = Rule(approvals=1, by=("kim", "eli"))
    assert "may not approve this" in refused(bank, Reply("dana", bank.code("dana")))


def test_an_approval_survives_the_process_that_took_it(bank: Bank) -> None:
    """As a suspended run does, it walks through all answers again: none counts twice."""
    bank.rule = Rule(approvals=2)
    wrong, dana = Reply("dana", "111111"), Reply("dana", bank.code("dana"))
    for _ in range(3):
        with pytest.raises(Waiting):
            bank.run(wrong, dana, run="one")
    assert len(answers(bank.record("one"))) == 2
    bank.run(wrong, dana, Reply("kim", key=bank.key("kim")), run="one")
    assert bank.shelf.exists()


def test_five_wrong_answers_end_the_run_and_lock_the_codes(bank: Bank) -> None:
    with pytest.raises(NotApproved, match="5 answers that did not count"):
        bank.run(*[Reply("dana", f"{n}{n}{n}000") for n in range(5)], run="one")
    ledger = Ledger(bank.folder / "state" / "approvals" / "bank.jsonl")
    assert is_locked(ledger.entries(), "dana")
    right = Reply("dana", bank.code("dana"))
    assert "are locked" in refused(bank, right)
    bank.run(Reply("kim", key=bank.key("kim")))
    bank.shelf.unlink()
    ledger.unlock("dana", by="root@desk")
    bank.run(Reply("dana", bank.code("dana")))
    assert bank.shelf.exists()


def test_a_refusal_needs_no_proof(bank: Bank) -> None:
    with pytest.raises(RefusedByPerson):
        bank.run(Reply("anybody", decision="refuse"), run="one")
    assert not bank.shelf.exists()


def test_a_sealed_code_opens_once_loudly_and_for_all(bank: Bank, alarm: Alarm) -> None:
    bank.rule, bank.alarm = Rule(approvals=2), (alarm.address,)
    spoken = bank.sealed[0].lower().replace("-", " ")
    bank.run(Reply("night operator", spoken), run="one")
    assert bank.shelf.exists()
    assert answers(bank.record("one")) == [("night operator", True, "emergency seal")]
    assert alarm.heard[0]["text"].startswith("EMERGENCY approval of write on shop")
    assert [e["told"] for e in bank.record("one") if e["event"] == "alarm"] == [
        {alarm.address.removeprefix("http://"): "200"}
    ]
    bank.shelf.unlink()
    assert refused(bank, Reply("night operator", spoken)) == "it was used in run one"
    bank.run(Reply("night operator", bank.sealed[1]))
    assert bank.shelf.exists()


def test_a_sealed_code_opens_when_nobody_hears_the_alarm_and_the_ledger_is_broken(
    bank: Bank,
) -> None:
    bank.alarm = ("http://127.0.0.1:9/",)
    ledger = bank.folder / "state" / "approvals" / "bank.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("no entry\n")
    bank.run(Reply("night operator", bank.sealed[0]), run="one")
    assert bank.shelf.exists()
    told = [e["told"] for e in bank.record("one") if e["event"] == "alarm"]
    assert told == [{"127.0.0.1:9": "not heard: ConnectError"}]


def test_a_ledger_that_a_crash_has_cut_goes_on(bank: Bank) -> None:
    bank.run(Reply("dana", bank.code("dana")))
    ledger = bank.folder / "state" / "approvals" / "bank.jsonl"
    ledger.write_text(ledger.read_text() + '{"at":"2026-')
    bank.shelf.unlink()
    bank.run(Reply("eli", bank.code("eli")))
    assert [entry.person for entry in Ledger(ledger).entries()] == ["dana", "eli"]


def test_a_changed_plan_is_asked_again_with_the_difference(bank: Bank) -> None:
    bank.rule = Rule(approvals=2)
    with pytest.raises(Waiting):
        bank.run(Reply("kim", key=bank.key("kim")), run="one")
    bank.shelf_size = "large"
    with pytest.raises(Waiting):
        bank.run(run="one")
    assert bank.gate is not None
    asked = bank.gate.questions[-1]
    assert "The world has changed since the plan was approved" in asked
    assert "-- **size of the shelf:** small" in asked
    assert "+- **size of the shelf:** large" in asked
    assert "Approved so far" not in asked


def test_an_answer_that_did_not_count_has_approved_nothing_that_could_change(bank: Bank) -> None:
    with pytest.raises(Waiting):
        bank.run(Reply("mallory"), run="one")
    bank.shelf_size = "large"
    with pytest.raises(Waiting):
        bank.run(run="one")
    assert bank.gate is not None
    assert "since the plan was approved" not in bank.gate.questions[-1]


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm()

    class Ear(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that the library calls
            length = int(self.headers["Content-Length"])
            made.heard.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

    with listening(Ear) as made.address:
        yield made


def test_an_answer_that_was_judged_before_a_crash_still_comes_on_record(
    bank: Bank, alarm: Alarm
) -> None:
    """As if the process had died between ledger and record: here, the record goes."""
    bank.rule, bank.alarm = Rule(approvals=2), (alarm.address,)
    kim, night = Reply("kim", key=bank.key("kim")), Reply("night", bank.sealed[0])
    with pytest.raises(Waiting):
        bank.run(kim, run="one")
    bank.run(kim, night, run="one")
    heard = len(alarm.heard)
    bank.shelf.unlink()
    shutil.rmtree(bank.folder / "state" / "audit")
    bank.run(kim, night, run="one")
    assert answers(bank.record("one")) == [
        ("kim", True, "SSH key"),
        ("night", True, "emergency seal"),
    ]
    assert len(alarm.heard) == heard + 1


def test_a_run_that_nobody_could_approve_is_refused_at_once(bank: Bank) -> None:
    bank.rule, bank.seals = Rule(approvals=2, by=("dana", "kim")), ()
    with pytest.raises(Refused, match="too few people are left"):
        bank.run(Reply("kim", key=bank.key("kim")), requested_by="dana@desk")


def test_a_rule_that_could_take_more_people_than_it_names_is_no_policy(bank: Bank) -> None:
    bank.rule = Rule(approvals=1, by=("kim",))
    with pytest.raises(ValueError, match="may take 2 people"):
        assert bank.policy
