"""The justification of an emergency approval, afterwards, by a person who proves who they are."""

from __future__ import annotations

from pathlib import Path

from runbook.approval import Answer
from runbook.approvers.ledger import Ledger
from runbook.approvers.policy import ApprovalPolicy, Rule
from runbook.approvers.tally import Tally
from runbook.approvers.terms import Terms
from runbook.audit import read_trail
from runbook.audit.chain import Entry
from runbook.audit.index import RunsIndex
from runbook.audit.past_run import SEAL
from runbook.errors import Refused
from runbook.plan import Plan

QUESTION = "justification"
_ANYBODY = Rule(approvals=1, requester_may_approve=True)


def plan_of_emergency(audit: Path, run: str) -> Plan:
    """Give the plan that a sealed code approved; Refused when the run has had no emergency."""
    path = audit / f"{run}.jsonl"
    if not path.exists():
        raise Refused(f"there is no record of run {run} on this machine")
    entries = read_trail(path)
    digests = [e.get("plan_digest") for e in entries if e.get("verified") == SEAL]
    plans = [e for e in entries if e["event"] == "plan" and e.get("digest") in digests]
    if not plans:
        raise Refused(
            f"run {run} has nothing to justify", detail="no emergency code approved anything in it"
        )
    return Plan.model_validate(plans[-1]["plan"])


def justify(audit: Path, ledger: Ledger, policy: ApprovalPolicy, run: str, answer: Answer) -> Entry:
    """Enter a justification in the index of runs; Refused when it does not prove who gives it."""
    plan = plan_of_emergency(audit, run)
    if not answer.reason.strip():
        raise Refused("a justification needs its reason", hint="Say why: --reason TEXT")
    tally = Tally(run, plan, Terms(policy, _ANYBODY, None, 1), ledger)
    verdict = tally.judge(answer)
    if not verdict.counts or verdict.verified == SEAL:
        why = verdict.why or "an emergency code justifies nothing"
        raise Refused(f"the justification of {answer.approver} does not count", detail=why)
    fields: Entry = {"justifies": run, "by": answer.approver, "reason": answer.reason}
    proof: Entry = {"verified": verdict.verified, "signature": answer.signature}
    return RunsIndex(audit).enter("justified", fields | proof)
