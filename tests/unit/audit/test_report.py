"""Reports: one file, nothing foreign in it, whatever people wrote, in a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deployments.cli.audit_text import lines_of
from runbook.audit.history import past_runs
from runbook.audit.past_run import PastRun
from runbook.audit.report.kind import kind
from runbook.audit.report.period import period
from runbook.audit.report.period_page import period_page
from runbook.audit.report.run_page import run_page
from runbook.audit.report.run_view import view
from runbook.audit.trail import read_trail
from runbook.audit.verification import single_findings
from runbook.objectives import Objectives
from tests.bench.past import Past
from tests.unit.audit.scene import History


def page_of(path: Path) -> str:
    return run_page(path, single_findings(path))


def test_the_page_of_a_run_tells_what_a_reviewer_asks(past: History) -> None:
    text = re.sub(r"<[^>]+>|\s+", " ", page_of(past.record("waited")))
    text = re.sub(r"\s+", " ", text)
    for part in (
        "test-write on shop",
        "Asked for by dana : why",
        "approve alice CHG-1 test",
        "Proof of identity",
        "3. Write",
        "shelf write wrote",
        "Recovery time (RTO)",
        "Went on",
        "pg-runbooks 0.1.0",
        "Chain whole",
    ):
        assert part in text, part


def test_a_broken_record_is_told_on_its_page(history: History) -> None:
    history.run("first")
    path = history.record("first")
    path.write_bytes(path.read_bytes().replace(b"CHG-1", b"CHG-2"))
    text = page_of(path)
    assert '<span class="pill bad">broken</span>' in text
    assert "the entry was changed" in text


def test_what_was_locked_again_and_taken_back_is_told() -> None:
    lost, back = "the lock on db1 was lost", "database shop as before"
    at = {"at": "2026-01-01T00:00:00+00:00"}
    entries: list[dict[str, object]] = [
        {**at, "event": "step", "step": "3", "title": "Write"},
        {**at, "event": "locked again", "step": "3", "said": lost},
        {**at, "event": "taken back", "step": "3", "said": back},
    ]
    steps = view("run", entries).steps
    assert steps["3"].goals == [("locked again", lost)]
    assert kind("locked again") == "held"
    assert [action.command for action in steps["back"].actions] == [back]


def test_one_run_as_text_says_each_thing_once_and_when_it_was(past: History) -> None:
    entries = read_trail(past.record("waited"))
    answer = next(entry for entry in entries if entry["event"] == "answer")
    answer["answered_at"] = "2026-01-01T00:00:49.5Z"
    answer["at"] = "2026-01-01T00:01:00+00:00"
    began = str(entries[0]["at"])
    back = {"at": began, "event": "taken back", "where": "shelf", "command": "rm it"}
    for start in [entry for entry in entries if entry["event"] == "start"]:
        start["parameters"] = {"reason": "why", "backup": "latest"}
    told = "\n".join(lines_of(view("waited", [*entries, back])))
    assert "answer   2026-01-01T00:00:49 " in told
    assert "backup=latest" in told
    assert "reason=" not in told
    assert "\n      Taken back\n" in told


def test_a_plan_that_is_asked_for_again_after_a_restart_is_one_question() -> None:
    entries: list[dict[str, object]] = [
        {"event": "asked", "at": f"2026-01-01T00:0{at}:00+00:00", "digest": digest, "question": "?"}
        for at, digest in enumerate(("a", "a", "b", "a"))
    ]
    asked = [at[14:16] for at, _ in view("run", entries).questions]
    assert asked == ["00", "02", "03"]


def test_a_period_counts_gaps_people_and_refusals(tmp_path: Path) -> None:
    Past(3000, clusters=3).write(tmp_path / "audit")
    runs = past_runs(tmp_path / "audit")
    since = datetime(2023, 1, 1, tzinfo=UTC)
    seen = period(runs, since, datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.runs == len(runs) == 3000
    assert sum(row.runs for row in seen.clusters) == 3000
    assert seen.outcomes["refused"] + seen.outcomes["not answered"] == seen.refusals.count
    taken = sum(run.backup is not None and run.backup.role == "taken" for run in runs)
    assert sum(row.backups for row in seen.clusters) == taken
    assert all(gap.hours > gap.allowed == 36 for gap in seen.gaps)
    assert seen.gaps
    approved = sum(row.approved for row in seen.people)
    assert approved == sum(a.decision == "approve" for run in runs for a in run.answers)


def test_a_backup_is_missed_when_the_objective_of_its_cluster_says_so(tmp_path: Path) -> None:
    """The newest restore that was judged names what is allowed, and an hour for the start."""
    Past(40, clusters=1).write(tmp_path / "audit")
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    runs = [run for run in past_runs(tmp_path / "audit") if run.runbook == "base-backup"]
    taken = sum(run.backup is not None for run in runs)

    def gaps(*hours: float) -> list[tuple[float, bool]]:
        judged = [runs[-1]._replace(backup=None, recovery_point_budget=h * 3600) for h in hours]
        seen = period([*runs, *judged], since, until)
        return [(gap.allowed, gap.by_objective) for gap in seen.gaps]

    assert 0 < len(gaps()) < taken
    assert gaps(24) == [(25, True)] * len(gaps())
    assert gaps(24, 12) == [(13, True)] * taken
    assert gaps(24 * 30) == []


def test_a_restore_that_was_found_done_is_not_counted_once_more(tmp_path: Path) -> None:
    """Records of before repeat the recovery time of the restore that had been made."""
    Past(40, clusters=1).write(tmp_path / "audit")
    taken = next(run for run in past_runs(tmp_path / "audit") if run.backup is not None)
    assert taken.backup is not None
    backup = taken.backup._replace(role="restored")
    restored = taken._replace(backup=backup, recovery_time=6.2, recovery_time_budget=900.0)
    found = restored._replace(run="found", outcome="nothing to do", changed=0)
    seen = period([restored, found], *(datetime(y, 1, 1, tzinfo=UTC) for y in (2020, 2027)))
    assert (seen.restores.count, seen.budgets, seen.clusters[0].drills) == (1, {True: 1}, 1)


def test_a_nightly_dump_hides_no_missed_base_backup(tmp_path: Path) -> None:
    Past(40, clusters=1).write(tmp_path / "audit")
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    runs = [run for run in past_runs(tmp_path / "audit") if run.runbook == "base-backup"]
    taken = [run for run in runs if run.backup is not None]
    kept = [taken[0]._replace(requested_by="schedule"), taken[-1]]
    dumps = [run._replace(runbook="component-backup", requested_by="schedule") for run in taken]
    seen = period([*kept, *dumps], since, until)
    missed = [gap for gap in seen.gaps if gap.runbook == "base-backup"]
    assert missed[0].since == taken[0].began[:16]
    assert missed[0].until == taken[-1].began[:16]
    assert {(each.runbook, len(each.taken)) for each in seen.trends} == {
        ("base-backup", 2),
        ("component-backup", len(taken)),
    }


def test_a_night_that_never_came_to_a_backup_is_missed_from_its_first_failure(
    tmp_path: Path,
) -> None:
    Past(400, clusters=1).write(tmp_path / "audit")
    first = next(run for run in past_runs(tmp_path / "audit") if run.backup is not None)
    night = datetime(2025, 12, 1, tzinfo=UTC)

    def nights(runbook: str, count: int, outcome: str, role: str) -> list[PastRun]:
        assert first.backup is not None
        return [
            first._replace(
                runbook=runbook,
                began=(night + timedelta(days=day)).isoformat(),
                requested_by="schedule",
                outcome=outcome,
                backup=first.backup._replace(role=role) if role else None,
            )
            for day in range(count)
        ]

    def missed(*runs: PastRun) -> list[tuple[str, str]]:
        ordered = sorted(runs, key=lambda run: run.began)
        seen = period(ordered, night, night + timedelta(days=7))
        return [(gap.runbook, gap.since) for gap in seen.gaps]

    start = night.isoformat()[:16]
    for role in ("taken in part", ""):
        assert missed(*nights("platform-backup", 7, "failed", role)) == [("platform-backup", start)]
    whole = nights("base-backup", 7, "completed", "taken")
    assert missed(*whole) == []
    for role in ("taken in part", ""):
        late = nights("platform-backup", 7, "failed", role)
        assert missed(*whole, *late) == [("platform-backup", start)]
    assert missed(*whole, *nights("health-check", 7, "failed", "")) == []
    off = nights("platform-backup", 2, "completed", "taken")
    assert missed(*whole, *off) == [("platform-backup", off[-1].began[:16])]


def test_a_recovery_time_is_shown_against_its_budget(history: History) -> None:
    history.run("kept", objectives=Objectives(rto=timedelta(minutes=15)))
    history.run("over", objectives=Objectives(rto=timedelta(seconds=1)))
    history.run("free")
    assert (
        '<span class="pill good">kept</span> <span class="quiet">15 min allowed</span>'
        in page_of(history.record("kept"))
    )
    over = '<span class="pill bad">exceeded by 0.5 s</span> <span class="quiet">1.0 s allowed'
    assert over in page_of(history.record("over"))
    assert "allowed" not in page_of(history.record("free"))
    runs = {run.run: run for run in past_runs(history.audit)}
    assert [runs[name].kept for name in ("kept", "over", "free")] == [True, False, None]


def test_a_period_tells_which_restores_kept_their_budgets(tmp_path: Path) -> None:
    Past(6000, clusters=3).write(tmp_path / "audit")
    runs = past_runs(tmp_path / "audit")
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    seen = period(runs, since, until)
    judged = [run for run in runs if run.recovery_time_budget is not None]
    kept = [run for run in judged if run.recovery_time <= run.recovery_time_budget]  # type: ignore[operator]
    assert 0 < len(kept) < len(judged)
    assert seen.budgets == {True: len(kept), False: len(judged) - len(kept)}
    text = period_page(seen, "all", (), "")
    assert f'<dd class="warning">{len(kept)} of {len(judged)}</dd>' in text
    assert text.count(">exceeded by") == sum(not run.kept for run in seen.restores.rows)


def test_the_record_of_the_report_is_the_one_that_verifies(past: History) -> None:
    import hashlib

    path = past.record("first")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page_of(path)
    assert len(read_trail(path)) > 5
