"""The approval settings of a cluster: who must approve, and what is asked of nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from blocks.load import load_cluster, load_policy
from runbook.approval import Answer, Gate
from runbook.approvers.terms import Terms
from runbook.cluster import Approval
from runbook.plan import Plan


def approval_of(plan: Plan) -> Approval:
    """Give the approval settings of the plan's cluster."""
    return load_cluster(plan.cluster).approval if plan.cluster else Approval()


def terms_for(plan: Plan, requested_by: str) -> Terms | None:
    """Give who must approve a plan; None where no policy says so, or nobody is asked."""
    settings = approval_of(plan)
    if not settings.policy or plan.runbook in settings.without:
        return None
    terms = Terms.of(load_policy(settings.policy), plan.runbook, plan.cluster, requested_by)
    return terms if terms.needed else None


@dataclass(frozen=True)
class ByPolicy:
    """Answers for runbooks that the settings let run without asking; all others are asked for."""

    gate: Gate

    def ask(self, plan: Plan, question: str) -> Answer:
        """Approve by the settings, or ask."""
        reason = _unasked(plan)
        if not reason:
            return self.gate.ask(plan, question)
        return Answer(
            decision="approve",
            approver="the settings",
            reason=reason,
            confirm=plan.cluster,
            door="settings",
            at=datetime.now(UTC),
            plan_digest=plan.digest,
        )


def _unasked(plan: Plan) -> str:
    """Say which setting lets a plan run without asking; empty where a person is asked."""
    settings = approval_of(plan)
    if plan.runbook in settings.without:
        return f"approval.without of cluster {plan.cluster} names {plan.runbook}"
    if not settings.policy:
        return ""
    rule = load_policy(settings.policy).rule(plan.runbook, plan.cluster)
    needs_none = f"policy {settings.policy} needs no approval for {plan.runbook}"
    return "" if rule.approvals else needs_none
