"""The terms of one approval: how many people it takes, and who cannot be one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.approvers.policy import ApprovalPolicy, Rule
from runbook.errors import Refused
from runbook.user import SCHEDULE

_LOGIN = re.compile(r"\S+@\S+")


@dataclass(frozen=True)
class Terms:
    """Whose policy and rule counts, who asked for the run, how many must approve."""

    policy: ApprovalPolicy
    rule: Rule
    requester: str | None
    needed: int

    @classmethod
    def of(cls, policy: ApprovalPolicy, runbook: str, cluster: str, requested_by: str) -> Terms:
        """Find the terms for a run that somebody asked for.

        Whom the Prefect UI started a run for is not known; then two people are proof enough that
        one of them is somebody else.
        """
        rule = policy.rule(runbook, cluster)
        if rule.requester_may_approve or not rule.approvals:
            return cls(policy, rule, None, rule.approvals)
        is_known = requested_by == SCHEDULE or _LOGIN.fullmatch(requested_by)
        needed = rule.approvals if is_known else rule.most_needed
        requester = policy.person_of(requested_by)
        left = set(rule.by or policy.people) - {requester}
        if len(left) < needed and not policy.seals:
            raise Refused(
                f"{runbook} on {cluster}: too few people are left who may approve it",
                detail=f"it takes {needed}; asked by {requested_by}; left: {', '.join(left)}",
                hint=f"Let somebody else ask for it, or name more people in policy {policy.name}.",
            )
        return cls(policy, rule, requester, needed)

    def objection(self, name: str, counted: tuple[str, ...]) -> str:
        """Say why a person cannot approve here; empty when they can."""
        if name not in self.policy.people:
            return f"{name} is not among the people of policy {self.policy.name}"
        if self.rule.by and name not in self.rule.by:
            return f"{name} may not approve this; {', '.join(self.rule.by)} may"
        if name == self.requester:
            return f"{name} asked for this run and cannot approve it"
        if name in counted:
            return f"{name} has approved already; it takes somebody else"
        return ""

    def said(self) -> str:
        """Say in one sentence what it takes, for the question."""
        who = ", ".join(name for name in self.rule.by or self.policy.people)
        but = f", not {self.requester}, who asked for it" if self.requester else ""
        proof = "a one-time code or an SSH signature"
        if self.needed == 1:
            return f"One person approves ({who}{but}), with {proof}."
        return f"Two people approve, one by one ({who}{but}), each with {proof}."
