"""A bank's policy with real keys and codes, and a little runbook that asks by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

import pyotp
from pydantic import SecretStr

from runbook import approve, ensure, fact, step
from runbook.actions import Work
from runbook.approval import Answer, Waiting
from runbook.approvers import seal
from runbook.approvers.one_time_code import new_secret
from runbook.approvers.policy import ApprovalPolicy, Person, Rule
from runbook.approvers.statement import Statement
from runbook.approvers.terms import Terms
from runbook.audit import read_trail
from runbook.audit.chain import Entry
from runbook.drive import Driver, Order, Result
from runbook.plan import Plan
from runbook.watch import LogWatcher


@dataclass
class Reply:
    """What somebody answers: `code` and `key` may be another person's on purpose."""

    approver: str
    code: str = ""
    key: Path | None = None
    late: timedelta = timedelta()
    about: str = ""
    decision: str = "approve"


@dataclass
class Replies:
    """A gate: gives one answer after the other, then leaves as a suspended run does."""

    run: str
    left: list[Reply]
    number: int = 0
    questions: list[str] = field(default_factory=list)

    def ask(self, plan: Plan, question: str) -> Answer:
        self.questions.append(question)
        if not self.left:
            raise Waiting
        reply = self.left.pop(0)
        self.number += 1
        name = f"{plan.digest[:16]}-{self.number}"
        stated = Statement(
            run=self.run,
            question=name,
            runbook=plan.runbook,
            cluster=plan.cluster,
            plan=reply.about or plan.digest,
            decision=reply.decision,
            approver=reply.approver,
            reason="",
        )
        return Answer.model_validate(
            {
                "decision": reply.decision,
                "approver": reply.approver,
                "confirm": plan.cluster,
                "at": datetime.now(UTC) - reply.late,
                "plan_digest": plan.digest,
                "question": name,
                "code": reply.code,
                "signature": stated.signed_by(reply.key) if reply.key else "",
            }
        )


@cache
def _envelope() -> dict[str, str]:
    """Make two emergency codes and their seals, once: a seal is slow on purpose."""
    codes = (seal.new_code(), seal.new_code())
    return {code: seal.sealed(code) for code in codes}


@dataclass
class Bank:
    """People with keys and codes, a state directory, and a runbook that writes one file."""

    folder: Path
    keys: Path
    rule: Rule = field(default_factory=lambda: Rule(approvals=1))
    alarm: tuple[str, ...] = ()
    codes: dict[str, str] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    seals: tuple[str, ...] = ()
    gate: Replies | None = None
    shelf_size: str = "small"

    def __post_init__(self) -> None:
        self.codes = {name: new_secret() for name in ("dana", "eli")}
        envelope = _envelope()
        self.sealed, self.seals = list(envelope), tuple(envelope.values())

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.key"

    def code(self, name: str, ago: timedelta = timedelta()) -> str:
        return pyotp.TOTP(self.codes[name]).at(datetime.now(UTC) - ago)

    @property
    def policy(self) -> ApprovalPolicy:
        public = self.key("kim").with_suffix(".key.pub").read_text().strip()
        return ApprovalPolicy(
            name="bank",
            people={
                "dana": Person(logins=("dana@desk",)),
                "eli": Person(),
                "kim": Person(ssh_keys=(public,)),
            },
            totp={name: SecretStr(secret) for name, secret in self.codes.items()},
            rules=(self.rule,),
            seals=self.seals,
            alarm=self.alarm,
        )

    @property
    def shelf(self) -> Path:
        return self.folder / "shelf"

    def run(
        self, *replies: Reply, run: str = "", requested_by: str = "oper@desk", again: bool = False
    ) -> Result:
        """Run it with these answers; `again` goes on with the questions of before."""
        name = run or uuid4().hex
        left: Sequence[Reply] = replies
        self.gate = Replies(name, list(left))
        policy = self.policy
        driver = Driver(
            self.folder / "state",
            self.gate,
            LogWatcher(),
            terms=lambda plan, asked: Terms.of(policy, plan.runbook, plan.cluster, asked),
        )
        body = self._body
        order = Order("write", "shop", {"cluster": "shop"}, body, tuple, requested_by, id=name)
        return driver.run(order)

    def _body(self) -> None:
        with step("1", "Look"):
            fact("size of the shelf", self.shelf_size)
        with step("2", "Ask"):
            approve("Shall it be written?")
        with step("3", "Write"):
            ensure("it is written", holds=self.shelf.exists, by=[Work("shelf", "w", self._write)])

    def _write(self) -> str:
        self.shelf.write_text("written")
        return "written"

    def record(self, run: str) -> list[Entry]:
        return read_trail(self.folder / "state" / "audit" / f"{run}.jsonl")


def answers(entries: Iterable[Entry]) -> list[tuple[str, bool, str]]:
    """Give name, whether it counted, and how it was verified or why not."""
    return [
        (str(e["approver"]), bool(e["counts"]), str(e["verified"] or e.get("why")))
        for e in entries
        if e["event"] == "answer"
    ]
