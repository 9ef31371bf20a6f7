"""What has changed between the plan that people approved and the plan of now."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from runbook.approval import Answer
from runbook.audit.chain import Entry, walk
from runbook.plan import Plan

CHANGED = "The world has changed since the plan was approved. What is different now:"
_MOST_LINES = 80


def difference_to_approved(record: Path, plan: Plan) -> str:
    """Compare with the last plan that was approved in this run; empty when there was none.

    Facts that move by themselves are not part of what is approved, and are left out.
    """
    entries = walk(record.read_bytes()).entries
    approved = [_text(each, "plan_digest") for each in entries if _is_approval(each)]
    if not approved or approved[-1] == plan.digest:
        return ""
    for entry in reversed(entries):
        if entry["event"] == "plan" and entry.get("digest") == approved[-1]:
            return _difference(Plan.model_validate(entry["plan"]), plan)
    return f"(plan {approved[-1][:12]} was approved, and its text is not in this record)"


def is_on_record(record: Path, plan: Plan) -> bool:
    """Tell whether the text of a plan stands in a record."""
    entries = walk(record.read_bytes()).entries
    return any(each["event"] == "plan" and each.get("digest") == plan.digest for each in entries)


def is_answer_on_record(record: Path, answer: Answer) -> bool:
    """Tell whether an answer stands in a record; one to a question without a name never does."""
    entries = walk(record.read_bytes()).entries
    known = [(e.get("question"), e.get("approver")) for e in entries if e["event"] == "answer"]
    return bool(answer.question) and (answer.question, answer.approver) in known


def _is_approval(entry: Entry) -> bool:
    """Tell whether an entry is an approval that counted; before there were policies, each did."""
    approves = entry["event"] == "answer" and entry.get("decision") == "approve"
    return approves and entry.get("counts", True) is True


def _difference(before: Plan, now: Plan) -> str:
    old, new = (_bound(plan).markdown().splitlines()[:-2] for plan in (before, now))
    lines = [line for line in unified_diff(old, new, n=1, lineterm="") if line[:3] not in _HEADS]
    left_out = len(lines) - _MOST_LINES
    more = [f"({left_out} more lines)"] if left_out > 0 else []
    return "\n".join([*lines[:_MOST_LINES], *more])


def _bound(plan: Plan) -> Plan:
    return plan.model_copy(update={"facts": tuple(fact for fact in plan.facts if fact.bound)})


def _text(entry: Entry, name: str) -> str:
    return str(entry.get(name, ""))


_HEADS = ("---", "+++")
