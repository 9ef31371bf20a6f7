"""Can the people of a policy still approve, and is every emergency explained?"""

from __future__ import annotations

from collections.abc import Iterator

from blocks.load import load_policy
from deployments.cli.finding import Finding, failed
from runbook.approvers.ledger import Entry, Ledger, is_locked, path_of
from runbook.approvers.policy import ApprovalPolicy
from runbook.audit.history import Wanted, past_runs
from runbook.audit.past_run import UNJUSTIFIED
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.places import state_directory

_OPEN = "Any name typed into the form counts; see deployments/approval.md."
_SEALS = "Make one with `pg-runbooks approvers seal`, for the night when nobody can be reached."


def approval_findings(cluster: Cluster) -> Iterator[Finding]:
    """Look at the approval settings of a cluster, as this machine knows them."""
    where = f"approval of {cluster.name}"
    if not cluster.approval.policy:
        text = "approvers need not prove who they are"
        yield Finding(where, text, ok=True, hint=_OPEN, gravity="note")
    else:
        yield from _policy_findings(where, cluster.approval.policy)
    yield from _emergencies(where, cluster)


def _policy_findings(where: str, name: str) -> Iterator[Finding]:
    try:
        policy = load_policy(name)
        entries = Ledger(path_of(state_directory(), name)).entries()
    except RunbookError as error:
        yield failed(where, f"policy {name} can be used", error)
        return
    yield Finding(where, f"policy {name}", ok=True, seen=f"{len(policy.people)} people")
    yield from _people(where, policy, entries)
    if not set(policy.seals) - {entry.token for entry in entries}:
        text = "no emergency code is left"
        yield Finding(where, text, ok=True, hint=_SEALS, gravity="note")


def _people(where: str, policy: ApprovalPolicy, entries: list[Entry]) -> Iterator[Finding]:
    for person in policy.people:
        if is_locked(entries, person):
            hint = f"Ask {person}; then: pg-runbooks approvers unlock {policy.name} {person}"
            text = f"{person} is locked after wrong codes"
            yield Finding(where, text, ok=True, hint=hint, gravity="warning")


def _emergencies(where: str, cluster: Cluster) -> Iterator[Finding]:
    runs = past_runs(state_directory() / "audit", Wanted(cluster=cluster.name))
    for run in runs:
        if run.emergency == UNJUSTIFIED:
            text = f"the emergency approval of run {run.run} ({run.runbook}) is not justified"
            hint = f"pg-runbooks audit justify {run.run} --as NAME --reason TEXT"
            yield Finding(where, text, ok=True, seen=run.began, hint=hint, gravity="warning")
