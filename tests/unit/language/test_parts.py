"""Parts of a run: one that fails stops no other, and none is believed without evidence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbook import ensure, fact, step
from runbook.audit import read_trail
from runbook.audit.report.run_page import run_page
from runbook.audit.report.run_view import view
from runbook.drive import Driver
from runbook.errors import CheckFailed, GoalNotReached, Interrupted
from runbook.evidence import Kept, KeptFile, checksum
from runbook.parts import Parts
from runbook.run import current
from runbook.watch import LogWatcher
from tasks.platform_evidence import show
from tests.unit.language.scene import Shelf, drive, order

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def keep(name: str) -> None:
    """Be a part that has kept a file."""
    with step("1", "Look"):
        fact("primary", f"of {name}")
    with step("2", "Keep"):
        current().kept.append(
            Kept(name, ("store|x",), (KeptFile(f"{name}.dump", 7, "0" * 64),), NOW, NOW)
        )


def refuse() -> None:
    with step("1", "Look"):
        raise CheckFailed("no room", hint="Make room.")


def body(parts: Parts) -> None:
    """Be a procedure of which one part fails."""
    with step("1", "Dump"):
        parts.carry_out("dump", "a", lambda: keep("a"))
        parts.carry_out("dump", "b", refuse)
        parts.carry_out("dump", "c", lambda: keep("c"))
        parts.leave_out("dump", "d")
    with step("2", "Export"):
        parts.end("export", "", "not set", why="nobody has exports")
    with step("3", "Show"):
        show(parts)


class Screen(LogWatcher):
    """Keeps what is shown at the end."""

    pages: list[tuple[str, str]]

    def __init__(self) -> None:
        self.pages = []

    def finished(self, title: str, markdown: str) -> None:
        self.pages.append((title, markdown))


def test_a_part_that_fails_stops_no_other_and_the_run_fails_with_its_name(tmp_path: Path) -> None:
    screen = Screen()
    driver = Driver(tmp_path, None, screen)  # type: ignore[arg-type]
    with pytest.raises(GoalNotReached, match=r"2 of 3 parts are whole; failed: dump of b") as seen:
        driver.run(order(lambda: body(Parts())))
    assert "test step 1.2.1: no room" in seen.value.detail
    ((title, table),) = screen.pages
    assert "2 of 3 parts of platform shop are whole" in title
    table, grid = table.split("\n\n")
    assert grid.splitlines()[2:] == [
        "| a | whole |",
        "| b | failed |",
        "| c | whole |",
        "| d | not set |",
    ]
    rows = table.splitlines()[2:]
    assert len(rows) == 4
    assert "**FAILED** | nothing — test step 1.2.1: no room" in rows[1]
    assert "**NOT SET**" in rows[3]
    assert f"`{'0' * 64}`" in rows[0]


def test_the_record_and_its_page_tell_every_part(tmp_path: Path) -> None:
    with pytest.raises(GoalNotReached):
        drive(tmp_path, lambda: body(Parts()))
    (path,) = (tmp_path / "state" / "audit").glob("*.jsonl")
    entries = read_trail(path)
    seen = view(path.stem, entries)
    outcomes = {key: part["outcome"] for key, part in seen.parts.items()}
    assert outcomes == {
        **{("dump", name): "whole" for name in "ac"},
        ("dump", "b"): "failed",
        ("export", ""): "not set",
    }
    assert {"1.1", "1.2", "1.3.2", "2", "3"} <= set(seen.steps)
    assert seen.steps["1.2"].title == "dump of b"
    backup = seen.summary.fields["backup"]
    assert isinstance(backup, dict)
    assert backup["role"] == "taken in part"
    page = run_page(path, ())
    assert "<h2>Parts</h2>" in page
    assert '<span class="pill bad">failed</span>' in page


def test_a_plan_shows_what_cannot_be_done_and_goes_on(tmp_path: Path) -> None:
    plan = drive(tmp_path, lambda: body(Parts()), dry_run=True).plan
    facts = {each.name: each.value for each in plan.facts}
    assert next(iter(facts)) == "CANNOT BE DONE: dump of b"
    assert facts["dump of a: primary"] == "of a"
    assert facts["dump of c: primary"] == "of c"
    assert "no room" in facts["CANNOT BE DONE: dump of b"]
    assert facts["backed up of b"] == "dump: CANNOT BE DONE"
    assert facts["backed up of d"] == "dump: not set"
    assert facts["not set, and not backed up"] == "export (nobody has exports)"
    assert ("1.3.2", "Keep") in plan.headings


def test_a_plan_in_which_nothing_can_be_done_is_refused(tmp_path: Path) -> None:
    def none() -> None:
        parts = Parts()
        with step("1", "Dump"):
            parts.carry_out("dump", "b", refuse)
        with step("2", "Show"):
            show(parts)

    with pytest.raises(CheckFailed, match="no room"):
        drive(tmp_path, none, dry_run=True)


def test_each_part_is_planned_as_if_the_others_were_not(tmp_path: Path, shelf: Shelf) -> None:
    def change() -> None:
        with step("1", "Write"):
            ensure("written", holds=lambda: False, by=[shelf.put("a")])

    def already() -> None:
        with step("1", "Write"):
            ensure("there", holds=lambda: True, by=[shelf.put("b")])

    def both() -> None:
        parts = Parts()
        with step("1", "Change"):
            parts.carry_out("one", "a", change)
            parts.carry_out("two", "a", already)

    plan = drive(tmp_path, both, dry_run=True).plan
    assert [line.outcome for line in plan.lines] == ["planned", "already so"]


def test_success_without_evidence_is_a_failure_and_a_defect_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = Parts()

    def empty() -> None:
        with step("1", "Look"):
            fact("well", "done")

    def defect() -> None:
        raise ZeroDivisionError("by nothing")

    def odd() -> None:
        if not current().planning:
            with step("1", "Dump"):
                parts.carry_out("empty", "a", empty)
                parts.carry_out("defect", "a", defect)
                parts.carry_out("dump", "a", lambda: keep("a"))

    drive(tmp_path, odd)
    assert [part.outcome for part in parts.ended] == ["failed", "failed", "whole"]
    errors = [str(part.error) for part in parts.failed]
    assert "has kept nothing" in errors[0]
    assert "a defect: ZeroDivisionError in test_parts.py line" in errors[1]
    assert "by nothing" not in errors[1]
    assert "by nothing" in caplog.text


@pytest.mark.parametrize("closing", [None, CheckFailed("not closed"), OSError("gone")])
@pytest.mark.parametrize("end", [Interrupted("from outside"), KeyboardInterrupt()])
def test_an_end_from_outside_ends_all_parts_also_where_closing_fails(
    tmp_path: Path, end: BaseException, closing: Exception | None
) -> None:
    begun = []

    def ended() -> None:
        if current().planning:
            return
        begun.append("one")
        try:
            raise end
        finally:
            if closing:
                raise closing

    def after() -> None:
        if not current().planning:
            begun.append("two")

    def two() -> None:
        parts = Parts()
        with step("1", "Dump"):
            parts.carry_out("one", "a", ended)
            parts.carry_out("two", "a", after)

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        drive(tmp_path, two)
    assert begun == ["one"]


def test_the_checksum_of_several_files_is_that_of_their_list() -> None:
    files = [KeptFile(name, 1, name * 64) for name in "ba"]
    lines = f"{'a' * 64}  a\n{'b' * 64}  b\n"
    assert checksum(files) == hashlib.sha256(lines.encode()).hexdigest()
    assert checksum(files[:1]) == "b" * 64


def test_a_run_that_is_started_again_tells_only_of_its_own_parts(tmp_path: Path) -> None:
    with pytest.raises(GoalNotReached):
        drive(tmp_path, lambda: body(Parts()))
    (path,) = (tmp_path / "state" / "audit").glob("*.jsonl")

    def less() -> None:
        parts = Parts()
        with step("1", "Dump"):
            parts.carry_out("dump", "a", lambda: keep("a"))
        with step("2", "Show"):
            show(parts)

    again = order(less)
    Driver(tmp_path / "state", None, Screen()).run(replace(again, id=path.stem))  # type: ignore[arg-type]
    assert list(view(path.stem, read_trail(path)).parts) == [("dump", "a")]
