"""An emergency approval is named until somebody justifies it, provably."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbook.approval import Answer
from runbook.approvers.justification import justify, plan_of_emergency
from runbook.approvers.ledger import Ledger
from runbook.approvers.policy import Rule
from runbook.approvers.statement import Statement
from runbook.audit.history import past_runs
from runbook.audit.past_run import UNJUSTIFIED
from runbook.audit.verification import verified
from runbook.errors import Refused
from tests.unit.approvers.scene import Bank, Reply


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Give a bank where run `night` was approved by a code from the envelope."""
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "kim.key"))
    subprocess.run(argv, check=True)
    made = Bank(tmp_path, tmp_path, Rule(approvals=2))
    made.run(Reply("night operator", made.sealed[0]), run="night")
    return made


def answer(bank: Bank, reason: str, *, code: str = "", by: str = "kim", said: str = "") -> Answer:
    plan = plan_of_emergency(bank.folder / "state" / "audit", "night")
    stated = Statement(
        run="night",
        question="justification-1",
        runbook=plan.runbook,
        cluster=plan.cluster,
        plan=plan.digest,
        decision="approve",
        approver=by,
        reason=said or reason,
    )
    return Answer(
        decision="approve",
        approver=by,
        reason=reason,
        confirm=plan.cluster,
        at=datetime.now(UTC),
        plan_digest=plan.digest,
        question="justification-1",
        code=code,
        signature="" if code else stated.signed_by(bank.key("kim")),
    )


def given(bank: Bank, answer: Answer) -> None:
    audit = bank.folder / "state" / "audit"
    ledger = Ledger(bank.folder / "state" / "approvals" / "bank.jsonl")
    justify(audit, ledger, bank.policy, "night", answer)


def emergency(bank: Bank) -> str:
    (run,) = past_runs(bank.folder / "state" / "audit")
    return run.emergency


def test_an_emergency_is_named_until_it_is_justified(bank: Bank) -> None:
    assert emergency(bank) == UNJUSTIFIED
    given(bank, answer(bank, "INC-7: the pager was dead"))
    assert emergency(bank) == "justified by kim: INC-7: the pager was dead"
    assert verified(bank.folder / "state" / "audit").broken == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reason": " "}, "needs its reason"),
        ({"reason": "other words", "said": "signed words"}, "no key of kim signed"),
        ({"reason": "INC-7", "by": "dana", "code": "000000"}, "not dana's"),
    ],
)
def test_a_justification_that_proves_nothing_does_not_count(
    bank: Bank, change: dict[str, str], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        given(bank, answer(bank, **change))
    assert emergency(bank) == UNJUSTIFIED


def test_a_sealed_code_cannot_justify_itself(bank: Bank) -> None:
    with pytest.raises(Refused, match="does not count"):
        given(bank, answer(bank, "INC-7", by="night operator", code=bank.sealed[1]))
    assert emergency(bank) == UNJUSTIFIED


def test_a_run_without_an_emergency_has_nothing_to_justify(bank: Bank) -> None:
    bank.shelf.unlink()
    bank.rule = Rule(approvals=1)
    bank.run(Reply("dana", bank.code("dana")), run="day")
    with pytest.raises(Refused, match="nothing to justify"):
        plan_of_emergency(bank.folder / "state" / "audit", "day")
