"""Names, tags and pages of a run in the UI tell at a glance what it is about and who agreed."""

from __future__ import annotations

import pytest

from flows._evidence import approval_page, approval_told
from flows._names import backup_of, run_name, run_tags
from runbook.audit import Entry
from runbook.plan import Fact, Plan

BACKUP = "backup_20260301020000"


@pytest.mark.parametrize(
    ("runbook", "parameters", "name"),
    [
        ("base-backup", {}, "base-backup shop"),
        ("promotion", {"mode": "failover", "to": "pgb"}, "promotion shop failover to pgb"),
        ("standby-rebuild", {"standby": "pgb"}, "standby-rebuild shop standby pgb"),
        ("instance-restore", {"backup": "latest"}, f"instance-restore shop {BACKUP}"),
        ("traffic", {"app": "sip", "to": "srv1"}, "traffic shop sip to srv1"),
    ],
)
def test_a_name_tells_runbook_target_and_backup(
    runbook: str, parameters: dict[str, str], name: str
) -> None:
    given = {"cluster": "shop", **parameters, "reason": "OPS-7"}
    backup = BACKUP if "backup" in parameters else ""
    assert run_name(runbook, {**given, "dry_run": False}, backup) == name
    assert run_name(runbook, given, backup) == f"{name} dry run"


def test_tags_tell_mode_and_backup_and_only_the_last_outcome() -> None:
    before = ["instance-restore", "waiting for approval"]
    acting = {"dry_run": False}
    tags = run_tags(before, acting, "changed", BACKUP)
    assert tags == [BACKUP, "changed", "instance-restore"]
    assert run_tags(before, acting) == ["instance-restore"]
    assert run_tags([], {}, "planned") == ["dry run", "planned"]


def test_the_backup_is_read_from_the_plan() -> None:
    def plan(*facts: Fact) -> Plan:
        return Plan(runbook="r", cluster="shop", parameters={}, facts=facts)

    told = Fact(name="backup", value=f"{BACKUP} of pga, 2026-03-01 02:00:00 UTC")
    assert backup_of(plan(Fact(name="node", value="pga"), told)) == BACKUP
    assert backup_of(plan()) == ""


def asked(digest: str) -> Entry:
    at = "2026-03-01T02:00:00.000+00:00"
    return {"event": "asked", "at": at, "digest": digest, "question": "Go back?\n\nmore"}


def answered(approver: str, digest: str, **more: object) -> Entry:
    given = {"decision": "approve", "approver": approver, "reason": "a|b\n<c>", "door": "terminal"}
    when = {"answered_at": "2026-03-01T02:03:04.5Z", "plan_digest": digest}
    return {"event": "answer", **given, **when, **more}


def test_every_answer_is_told_with_how_it_was_verified_and_what_it_is_worth() -> None:
    wrong = answered("Ada", "d1", verified="no", counts=False, why="wrong code")
    right = answered("Ada", "d1", verified="one-time code", counts=True)
    entries = [asked("d1"), wrong, right]
    page = approval_page(entries)
    first, second = page.split("\n\n")
    assert "| answer | approved without effect |" in first
    assert "| does not count | wrong code |" in first
    assert "| verified | one-time code |" in second
    assert "| asked | Go back? |" in second
    assert "| asked at | 2026-03-01 02:00:00 UTC |" in second
    assert r"| reason | a\|b \<c\> |" in second
    assert approval_told(entries) == "approved by Ada at 2026-03-01 02:03:04 UTC"
    assert approval_told([*entries, asked("d2")]) == "not answered"
    assert approval_told([]) == approval_page([]) == ""
    refused = answered("Grace", "d1", decision="refuse", counts=False)
    assert approval_told([asked("d1"), refused]).startswith("refused by Grace")
