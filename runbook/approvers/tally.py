"""Counts the answers to a question until enough people have approved, each proven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from runbook.approval import Answer, NotApproved, accepted
from runbook.approvers import one_time_code, seal
from runbook.approvers.ledger import TRIES, Entry, Ledger, failures, is_locked
from runbook.approvers.statement import Statement
from runbook.approvers.terms import Terms
from runbook.audit.past_run import SEAL
from runbook.errors import Damaged, Refused
from runbook.plan import Plan

CODE, KEY = "one-time code", "SSH key"
UNVERIFIED = "name as typed, not verified"
BY_SETTINGS = "the settings ask nobody"


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth: whether it counts, how it was verified, or why it does not.

    `ends` ends the run. `alarm` is to be told.
    """

    counts: bool
    verified: str = ""
    why: str = ""
    ends: Refused | None = None
    alarm: str = ""

    def for_record(self) -> dict[str, object]:
        """Give the fields that stand beside the answer in the audit record."""
        why = {"why": self.why} if self.why else {}
        return {"counts": self.counts, "verified": self.verified, **why}


class Tally:
    """The answers to the question about one plan, in one run."""

    def __init__(self, run: str, plan: Plan, terms: Terms | None, ledger: Ledger) -> None:
        self._run, self._plan, self._terms, self._ledger = run, plan, terms, ledger
        self._counted: list[str] = []
        self._rejected = 0
        self._needed = terms.needed if terms else 1
        self._why = ""

    @property
    def is_open(self) -> bool:
        """Tell whether more answers are needed."""
        return len(self._counted) < self._needed

    def ask(self, question: str) -> str:
        """Give the question with what became of the answers so far, and what it takes."""
        if self._terms is None:
            return question
        left = f"The last answer did not count: {self._why}. {TRIES - self._rejected} tries left."
        said = [left] if self._why else []
        said += [f"Approved so far: {', '.join(self._counted)}."] if self._counted else []
        return " ".join([*said, question, self._terms.said()])

    def judge(self, answer: Answer) -> Verdict:
        """Find what an answer is worth, and count it."""
        try:
            accepted(answer, self._plan)
        except Refused as ends:
            return Verdict(counts=False, verified=UNVERIFIED, ends=ends)
        if self._terms is None:
            self._counted.append(answer.approver)
            said = BY_SETTINGS if answer.door == "settings" else UNVERIFIED
            return Verdict(counts=True, verified=said)
        verdict = self._opened(answer) or self._recalled(answer, self._terms)
        return self._taken(answer, verdict)

    def _taken(self, answer: Answer, verdict: Verdict) -> Verdict:
        if verdict.counts:
            self._why = ""
            names = self._needed if verdict.verified == SEAL else 1
            self._counted += [answer.approver] * names
            return verdict
        self._rejected, self._why = self._rejected + 1, verdict.why
        if self._rejected < TRIES:
            return verdict
        ends = NotApproved(
            f"{self._plan.runbook} on {self._plan.cluster}: {TRIES} answers that did not count",
            detail=f"the last one: {verdict.why}",
            hint="Start the runbook again, and find out who answered.",
        )
        return replace(verdict, ends=ends)

    def _opened(self, answer: Answer) -> Verdict | None:
        """Try an emergency code. It opens one run, whatever else is wrong."""
        if self._terms is None or not seal.is_code(answer.code):
            return None
        found = seal.opened(answer.code, self._terms.policy.seals)
        about = f"{self._plan.runbook} on {self._plan.cluster}, as {answer.approver}"
        opened = Verdict(counts=True, verified=SEAL, alarm=f"EMERGENCY approval of {about}")
        try:
            with self._ledger.held() as entries:
                known = _known(entries, self._run, answer)
                if known is not None:
                    return opened if known.counts else known
                spent = [each.run for each in entries if each.token == found]
                why = "" if set(spent) <= {self._run} else f"it was used in run {spent[0]}"
                why = why if found else "this code opens no seal"
                self._enter(answer, SEAL, found or "", why)
        except Damaged as damaged:
            if found is None:
                raise
            return replace(opened, why=damaged.message)
        return Verdict(counts=False, why=why) if why else opened

    def _recalled(self, answer: Answer, terms: Terms) -> Verdict:
        """Give the verdict of before, or find one and keep it."""
        with self._ledger.held() as entries:
            known = _known(entries, self._run, answer)
            if known is not None:
                return known
            how, token, why = self._proven(answer, terms, entries)
            self._enter(answer, how, token, why)
            if not why:
                return Verdict(counts=True, verified=how)
            locks = how == CODE and failures(entries, answer.approver) == TRIES - 1
        alarm = f"{answer.approver} is locked after {TRIES} wrong codes" if locks else ""
        return Verdict(counts=False, why=why, alarm=alarm)

    def _proven(self, answer: Answer, terms: Terms, entries: list[Entry]) -> tuple[str, str, str]:
        """Tell how an answer is proven, what that spends, and why it is not (empty: it is)."""
        objection = terms.objection(answer.approver, tuple(self._counted))
        if objection:
            return "", "", objection
        if answer.signature:
            return self._signed(answer, terms, entries)
        if answer.code:
            return _coded(answer, terms, entries)
        return "", "", "it has neither a one-time code nor a signature"

    def _signed(self, answer: Answer, terms: Terms, entries: list[Entry]) -> tuple[str, str, str]:
        token = sha256(answer.signature.encode()).hexdigest()
        keys = terms.policy.people[answer.approver].ssh_keys
        if not keys or not self.statement(answer).is_signed(answer.signature, keys):
            return KEY, "", f"no key of {answer.approver} signed this decision about this plan"
        if any(each.token == token for each in entries):
            return KEY, "", "this signature was used before"
        return KEY, token, ""

    def statement(self, answer: Answer) -> Statement:
        """Give what must have been signed for an answer."""
        return Statement(
            run=self._run,
            question=answer.question,
            runbook=self._plan.runbook,
            cluster=self._plan.cluster,
            plan=self._plan.digest,
            decision=answer.decision,
            approver=answer.approver,
            reason=answer.reason,
        )

    def _enter(self, answer: Answer, how: str, token: str, why: str) -> None:
        self._ledger.write(
            Entry(
                at=datetime.now(UTC),
                event="rejected" if why else "counted",
                person=answer.approver,
                run=self._run,
                question=answer.question,
                how=how,
                token="" if why else token,
                why=why,
            )
        )


def _coded(answer: Answer, terms: Terms, entries: list[Entry]) -> tuple[str, str, str]:
    """Judge a one-time code."""
    name = answer.approver
    if is_locked(entries, name):
        return "", "", f"the codes of {name} are locked after {TRIES} wrong ones"
    secret = terms.policy.totp.get(name)
    known = secret.get_secret_value() if secret else ""
    now = datetime.now(UTC)
    step = one_time_code.step_of(answer.code, known, answer.at, now) if known else None
    if step is None:
        return CODE, "", f"the code is not {name}'s of that moment"
    used = [each for each in entries if each.person == name and each.token == str(step)]
    if used:
        return CODE, "", "this code was used before"
    return CODE, str(step), ""


def _known(entries: list[Entry], run: str, answer: Answer) -> Verdict | None:
    """Find the verdict on this very question of this run."""
    for entry in entries:
        if (entry.run, entry.question, entry.person) == (run, answer.question, answer.approver):
            counts = entry.event == "counted"
            return Verdict(counts=counts, verified=entry.how if counts else "", why=entry.why)
    return None
