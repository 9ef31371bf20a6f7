"""Pictures of reports: what they draw, and that nothing but the page dresses them."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from runbook.audit.past_run import SeenBackup
from runbook.audit.report.outcomes import by_name, over_time
from runbook.audit.report.picture import WIDTH
from runbook.audit.report.run_view import view
from runbook.audit.report.timeline import timeline
from runbook.audit.report.trends import trends

BEGAN = datetime(2026, 1, 1, 3, tzinfo=UTC)
Box = tuple[float, float, float, float]


def entry(second: float, event: str, **fields: object) -> dict[str, object]:
    return {"at": (BEGAN + timedelta(seconds=second)).isoformat(), "event": event, **fields}


def drawn(entries: list[dict[str, object]]) -> str:
    start = entry(0, "start", runbook="r", cluster="c", parameters={})
    picture = timeline(view("run", [start, *entries]))
    assert picture is not None
    return picture


def action(second: float, seconds: float, step: str, command: str) -> list[dict[str, object]]:
    about = {"step": step, "goal": command}
    return [
        entry(second, "step", step=step, title=f"Step {step}"),
        entry(second, "intent", **about, where="h", command=command),
        entry(second + seconds, "done", **about, exit_code=0, seconds=seconds),
    ]


def parts(picture: str) -> dict[str, Box]:
    """Give the parts of a picture that say what they are: left, top, right, bottom."""
    found = {}
    for group in ElementTree.fromstring(picture).iter("g"):
        title, path = group.find("title"), group.find("path")
        if title is not None and path is not None:
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d", ""))]
            across, down = numbers[::2], numbers[1::2]
            found[title.text or ""] = (min(across), min(down), max(across), max(down))
    return found


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(picture).iter("text")]


def width(box: Box) -> float:
    return box[2] - box[0]


def test_the_timeline_shows_each_action_and_cuts_the_waiting_out() -> None:
    picture = drawn(
        [
            *action(0, 10, "1", "/usr/bin/first"),
            entry(10, "asked", question="?"),
            entry(7210, "answer", decision="approve", approver="x"),
            *action(7210, 20, "2", "second"),
            entry(7230, "intent", step="3", goal="c", where="h", command="third"),
            entry(7240, "end", outcome="RunbookError", error="e"),
        ]
    )
    found = parts(picture)
    first, second = found["h: /usr/bin/first (10 s)"], found["h: second (20 s)"]
    third, wait = found["h: third (unfinished)"], found["waited 2 h 0 min"]
    assert width(second) == pytest.approx(2 * width(first), rel=0.01)
    assert width(wait) < width(first)
    assert first[2] == pytest.approx(wait[0], abs=0.1)
    assert first[3] < second[1] < second[3] < third[1]
    assert third[2] <= WIDTH
    for text in ("1", "h: first", "10 s", "h: second", "20 s", "h: third", "unfinished"):
        assert text in texts(picture), text


def test_of_many_actions_each_step_has_a_row_and_of_many_steps_the_longest() -> None:
    many = [e for n in range(50) for e in action(n * 10, 5, str(n // 10 + 1), f"command {n}")]
    assert [text for text in texts(drawn(many)) if text.startswith("Step")] == [
        f"Step {number}" for number in range(1, 6)
    ]
    assert len(parts(drawn(many))) == 50
    steps = [e for n in range(80) for e in action(n * 100, n, str(n), f"command {n}")]
    assert [text for text in texts(drawn(steps)) if text.startswith("Step")] == [
        f"Step {number}" for number in range(20, 80)
    ]


def test_texts_are_shown_as_they_are_or_cut_at_their_end() -> None:
    """Dollars are no formula, control characters no reason to fail, long names no reach."""
    picture = drawn(
        [
            *action(0, 1, "1", "echo $a$ <b> \x00\x1b[31m 漢字"),
            *action(2, 1, "2", "cat " + "w" * 400),
        ]
    )
    assert "h: echo $a$ <b> \ufffd\ufffd[31m 漢字" in texts(picture)
    (long,) = (text for text in texts(picture) if "www" in text)
    assert long.startswith("h: cat www")
    assert long.endswith("w…")
    assert len(long) < 60


def test_each_kind_of_outcome_is_to_be_seen_even_when_it_is_one_of_thousands() -> None:
    rows = [("2026-01", {"completed": 20_000, "refused": 1, "failed": 1, "cut off": 2})]
    for picture in (over_time(rows), by_name("x", "X", rows)):
        found = parts(picture)
        good, held, bad = (
            found[f"2026-01: {told}"]
            for told in ("20,000 completed", "1 refused", "1 failed, 2 cut off")
        )
        areas = [width(box) * (box[3] - box[1]) for box in (good, held, bad)]
        assert areas[0] > 50 * areas[1]
        assert all(area > 20 for area in areas)
        assert "1 failed, 2 cut off" in (ElementTree.fromstring(picture).findtext("desc") or "")
    shown = texts(over_time(rows))
    assert "refused, not answered, waiting" in shown
    assert "refused, not answered, waiting" not in texts(over_time([("2026-01", {"failed": 1})]))


def test_backups_are_drawn_by_date_from_the_smallest_unit_to_the_largest() -> None:
    def taken(sizes: list[int], seconds: float) -> list[tuple[datetime, SeenBackup]]:
        return [
            (BEGAN + timedelta(days=day), SeenBackup("taken", "b", size, size, seconds, ""))
            for day, size in enumerate(sizes)
        ]

    small, large = trends(
        [("a", taken([10, 20], 0.5)), ("b", taken([n * 10**10 for n in range(1, 400)], 7200))]
    )
    assert {"Size, 10 B → 20 B", "0 B", "18 B", "0 s", "0.45 s"} <= set(texts(small))
    assert {"1 TB", "3 TB", "Duration, 2 h 0 min → 2 h 0 min", "2026-01-01"} <= set(texts(large))
    assert "399 backups from 2026-01-01 to 2027-02-03" in large
    assert len(large) < 30_000
    assert small in trends([("a", taken([10, 20], 0.5))])


def test_pictures_are_the_same_each_time_and_whatever_a_person_has_set() -> None:
    rows = [(f"cluster-{number}", {"completed": 9, "failed": number}) for number in range(3)]
    with mpl.rc_context({"svg.fonttype": "path", "font.size": 30, "axes.grid": True}):
        theirs = by_name("x", "X", rows)
    assert theirs == by_name("x", "X", rows)
    assert mpl.rcParams["svg.fonttype"] == "path"


def test_a_picture_takes_its_colours_from_the_page_and_its_ids_from_nobody_else() -> None:
    rows = [("a", {"completed": 90, "failed": 50, "refused": 50})]
    one, other = (by_name(name, "X", rows) for name in ("one", "other"))
    assert not re.search(r"#[0-9a-f]{6}\b|<style|<script|http|font-family", one)
    for name in ("good", "held", "bad", "back", "quiet", "line"):
        assert f"var(--{name})" in one
    ids = [set(re.findall(r' id="([^"]+)"', picture)) for picture in (one, other)]
    assert ids[0]
    assert ids[0] & ids[1] == set()
    pointed = set(re.findall(r'(?:url\(|href=")#([\w-]+)', one))
    assert pointed
    assert pointed <= ids[0]


def test_nothing_but_a_report_waits_for_the_plotting_library() -> None:
    code = (
        "import sys, deployments.cli.app, runbook.audit.history, runbook.audit.report.run_view;"
        "import runbook.drive; sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_rows_of_a_picture_do_not_lie_on_each_other() -> None:
    rows = [(f"cluster-{number}", {"completed": number + 1}) for number in range(24)]
    boxes = sorted(parts(by_name("x", "X", rows)).values(), key=lambda box: box[1])
    assert len(boxes) == 24
    assert all(above[3] < below[1] for above, below in pairwise(boxes))
