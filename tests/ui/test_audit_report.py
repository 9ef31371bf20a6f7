"""Audit reports in a real browser: in light, in dark, on paper, and with hostile text in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from runbook.approval import RefusedByPerson
from runbook.audit.history import past_runs
from runbook.audit.report.period import period
from runbook.audit.report.period_page import period_page
from runbook.audit.report.run_page import run_page
from runbook.audit.trail import AuditTrail
from runbook.audit.verification import single_findings
from runbook.objectives import Objectives
from runbook.plan import Fact, Plan, PlanLine, PlannedAction, PlanStep
from tests.bench.past import Past
from tests.unit.audit.scene import History, Person

pytestmark = pytest.mark.ui

HOSTILE = (
    "</title></style><script>document.title='owned'</script><img src=http://127.0.0.1:9/x>\"'&amp;"
)
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
PICTURE = Path(__file__).with_name("picture.js").read_text()
CHROMIUM_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_ON_SCREEN = "matchMedia('screen').matches"


def hostile_record(history: History) -> Path:
    """A record in which everything that comes from people is hostile."""
    bad = HOSTILE
    trail = AuditTrail(history.record("hostile"))
    action = PlannedAction(where=bad, line=bad)
    line = PlanLine(kind="goal", text=bad, outcome="planned", actions=(action,))
    plan = Plan(
        runbook=bad,
        cluster=bad,
        parameters={bad: bad},
        facts=(Fact(name=bad, value=bad),),
        steps=(PlanStep(number="1", title=bad, lines=(line,)),),
    )
    trail.write(
        "start",
        run="hostile",
        runbook=bad,
        cluster=bad,
        parameters={"reason": bad, bad: bad},
        requested_by=bad,
        host=bad,
        version=bad,
    )
    trail.write("plan", digest=plan.digest, plan=plan.model_dump(mode="json"))
    trail.write("asked", digest=plan.digest, question=bad)
    trail.write("answer", decision="approve", approver=bad, reason=bad, door=bad, plan_digest=bad)
    trail.write("step", step="1", title=bad)
    objects = [{"name": bad, "size": 1, "sha256": bad}]
    trail.write("backup", role=bad, id=bad, node=bad, size=1, stored=1, objects=objects)
    trail.write("intent", step="1", goal=bad, where=bad, command=f"{bad} -x {bad} " + "w" * 400)
    trail.write("failed", step="1", goal=bad, error=bad, seconds=0.1)
    trail.write("end", outcome="RunbookError", error=bad)
    trail.close()
    return history.record("hostile")


def long_record(history: History) -> Path:
    """A record of forty actions with long names, the last of them cut off."""
    trail = AuditTrail(history.record("long"))
    trail.write("start", run="long", runbook="r", cluster="c", parameters={})
    for number in range(40):
        trail.write("step", step=f"{number}", title="A step")
        about = {"step": f"{number}", "goal": f"{number}"}
        where = f"node-{number}.of-a-cluster-with-a-long-name.example.net"
        trail.write("intent", **about, where=where, command="/usr/bin/pg_basebackup " + "W" * 90)
        if number < 39:
            trail.write("done", **about, exit_code=0, seconds=number * 100.0)
    trail.close()
    return history.record("long")


def page_of(path: Path) -> str:
    return run_page(path, single_findings(path))


def year_of(audit: Path) -> str:
    since, until = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    return period_page(period(past_runs(audit), since, until), "all runs", (), "verified")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(CHROMIUM_FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of runs good, over budget, refused, long and hostile, of years, and of nothing."""
    folder = tmp_path_factory.mktemp("pages")
    history, past = History(folder / "hostile"), History(folder / "past")
    for each in (history, past):
        each.state.mkdir()
    past.small()
    past.run("judged", objectives=Objectives(rto=timedelta(seconds=1)))
    Past(600, clusters=3).write(folder / "audit")
    Past(300, clusters=30).write(folder / "many")
    with suppress(RefusedByPerson):
        history.run("refused", Person(decision="refuse", reason=HOSTILE, approver=HOSTILE))
    now = datetime.now(UTC)
    texts = {
        "run": page_of(past.record("waited")),
        "judged": page_of(past.record("judged")),
        "refused": page_of(history.record("refused")),
        "hostile": page_of(hostile_record(history)),
        "hostile period": period_page(
            period(past_runs(history.audit), now - timedelta(days=9), now), HOSTILE, (), HOSTILE
        ),
        "long": page_of(long_record(past)),
        "year": year_of(folder / "audit"),
        "many clusters": year_of(folder / "many"),
        "empty": year_of(folder / "nothing"),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text)
    return {name: folder / f"{name}.html" for name in texts}


NAMES = (
    *("run", "judged", "refused", "long", "hostile", "hostile period"),
    *("year", "many clusters", "empty"),
)


@pytest.fixture(params=["light", "dark", "print"])
def looks(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A page in light, in dark, and as it goes to paper."""
    mode = request.param
    context = chromium.new_context(color_scheme="dark" if mode == "dark" else "light")
    page = context.new_page()
    if mode == "print":
        page.emulate_media(media="print")
    yield page
    context.close()


def test_pages_show_all_in_a_browser_and_ask_for_nothing(
    looks: Page, pages: dict[str, Path]
) -> None:
    """No foreign request, no script, no sideways scrolling, text and pictures that can be read."""
    asked: list[str] = []
    looks.on("request", lambda request: asked.append(request.url))
    for name in NAMES:
        looks.goto(pages[name].as_uri())
        for width in (1100, 700, 390) if looks.evaluate(_ON_SCREEN) else (1100, 700):
            looks.set_viewport_size({"width": width, "height": 900})
            over = looks.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"{name} at {width}: {over} px too wide"
        assert looks.evaluate(PICTURE) == [], name
        assert looks.evaluate(CONTRAST) == [], name
        assert looks.title() != "owned"
        assert looks.locator("script, img, link, iframe, object").count() == 0
    assert asked == [pages[name].as_uri() for name in NAMES]


def test_hostile_text_is_shown_as_it_was_written(pages: dict[str, Path], chromium: Browser) -> None:
    text = pages["hostile"].read_text()
    assert "<script" not in text
    assert "<img" not in text
    page = chromium.new_page()
    page.goto(pages["hostile"].as_uri())
    seen = page.locator("main").inner_text()
    page.close()
    assert seen.count("<script>document.title='owned'</script>") > 12
