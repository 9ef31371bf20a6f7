"""Names and tags of runs: mode, target, backup and outcome, at a glance in the list of runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runbook.plan import Plan

OUTCOMES = frozenset(
    (
        "planned",
        "changed",
        "apart",
        "nothing to do",
        "refused",
        "not answered",
        "failed",
        "skipped",
        "waiting for approval",
    )
)
_TARGETS = ("app", "mode", "primary", "node", "standby", "to", "backup")
_SPEAK_FOR_THEMSELVES = ("app", "mode", "backup")


def run_name(runbook: str, parameters: Mapping[str, object], backup: str = "") -> str:
    """Name a run for what it is about; `backup` is the one that "latest" has turned out to be."""
    given = {**parameters, "backup": backup or parameters.get("backup", "")}
    parts = [runbook, str(given.get("cluster") or "")]
    for name in _TARGETS:
        value = str(given.get(name) or "")
        if value not in ("", "latest"):
            parts.append(value if name in _SPEAK_FOR_THEMSELVES else f"{name} {value}")
    if given.get("dry_run", True):
        parts.append("dry run")
    return " ".join(part for part in parts if part)


def run_tags(
    before: Collection[str], parameters: Mapping[str, object], outcome: str = "", backup: str = ""
) -> list[str]:
    """Give a run's tags, with its mode, its backup, and instead of an earlier outcome this one."""
    ended = {outcome} if outcome else set()
    mode = {"dry run"} if parameters.get("dry_run", True) else set()
    chosen = {backup} if backup else set()
    kept = {tag for tag in before if tag not in OUTCOMES}
    return sorted(kept | mode | chosen | ended)


def backup_of(plan: Plan) -> str:
    """Give the id of the backup that a plan is about; empty where it is about none."""
    told = [fact.value for fact in plan.facts if fact.name == "backup"]
    return told[0].split()[0].rstrip(",") if told else ""
