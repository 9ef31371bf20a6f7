"""The Prefect UI as a person uses it: pages found by what is written on them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, ViewportSize, expect, sync_playwright

from tests.ui.scene import SHOP

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_SIZE = ViewportSize(width=1280, height=940)
_RUN_SECONDS = 90
_PAGE_SECONDS = 120
_INPUT = "xpath=following::*[self::textarea or self::input or @role='switch'][1]"


class Desk:
    """One browser at the address of the control room; its pictures go to a folder."""

    def __init__(self, page: Page, address: str, pictures: Path) -> None:
        self.page, self.address, self._pictures = page, address, pictures

    def open(self, path: str) -> None:
        """Open a page of the UI."""
        self.page.goto(f"{self.address}{path}")

    def open_deployment(self, runbook: str) -> None:
        """Search a runbook of the shop in the list of the deployments, and open it.

        The UI writes a search into the address a second after the last key, and forgets a click
        of that moment: the list is waited for.
        """
        self.open("/deployments")
        self.page.get_by_placeholder("Search deployments").fill(runbook)
        self.page.wait_for_url(f"**/deployments?*={runbook}")
        of_runbook = self.page.get_by_role("link", name=runbook, exact=True)
        row = self.page.get_by_role("row").filter(has=of_runbook)
        row.get_by_role("link", name=SHOP).click()
        self.page.wait_for_url("**/deployments/deployment/*")

    def open_run_form(self) -> None:
        """Open the form of a custom run of the deployment at hand."""
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("button", name="Custom run").click()
        expect(field(self.page, "dry_run")).to_be_visible()

    def submit_run(self) -> str:
        """Send the form of a custom run, go to the run's page, and give the run's id.

        The toast that leads there goes away by itself, and a busy machine may miss it. A server
        on SQLite answers 503 while another writes; a person sends the form once more then.
        """
        answer = self._press_submit()
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer = self._press_submit()
        assert answer.ok, f"{answer.status} {answer.text()}"
        run = str(answer.json()["id"])
        self.open(f"/runs/flow-run/{run}")
        return run

    def _press_submit(self) -> Response:
        patience = _RUN_SECONDS * 1000
        with self.page.expect_response("**/create_flow_run", timeout=patience) as created:
            self.page.get_by_role("button", name="Submit").click(timeout=patience)
        created.value.finished()
        return created.value

    def open_question(self, after: Locator | None = None) -> Locator:
        """Wait until the run at hand asks, and give the form with the plan.

        `after` is the form of the question before, which must have gone away first.
        """
        resume = self.page.get_by_role("button", name="Resume")
        if after is not None:
            expect(after).to_be_hidden()
            expect(resume).to_be_hidden(timeout=_RUN_SECONDS * 1000)
        expect(resume).to_be_visible(timeout=_RUN_SECONDS * 1000)
        resume.click()
        form = self.page.get_by_role("dialog")
        expect(form.get_by_text("SHA-256")).to_be_attached()
        return form

    def answer(self, form: Locator) -> None:
        """Send the form of a question, and see that the server has taken it or told what is wrong.

        By the keyboard: a message may lie over the button. Once more if the server was busy.
        """
        sent = self._press_answer(form)
        if sent.status == HTTPStatus.SERVICE_UNAVAILABLE:
            sent = self._press_answer(form)
        assert sent.ok, f"{sent.status} {sent.text()}"

    def _press_answer(self, form: Locator) -> Response:
        with self.page.expect_response("**/resume", timeout=_RUN_SECONDS * 1000) as sent:
            form.get_by_role("button", name="Submit").press("Enter")
        sent.value.finished()
        return sent.value

    def await_state(self, state: str) -> None:
        """Wait until the run at hand is in a state."""
        shown = self.page.get_by_text(state, exact=True).first
        expect(shown).to_be_visible(timeout=_RUN_SECONDS * 1000)

    def open_tab(self, name: str) -> Locator:
        """Open a tab of the page at hand, and give what is in it."""
        exactly = re.compile(f"^{name}$")
        self.page.get_by_role("listitem").filter(has_text=exactly).click()
        return self.page.get_by_role("tabpanel", name=name)

    def open_artifact(self, key: str, about: str = "") -> None:
        """Open a page that the run at hand has left, by its key and what it is about."""
        pages = self.open_tab("Artifacts").get_by_role("link")
        pages.filter(has_text=key).filter(has_text=about).first.click()
        expect(self.page.get_by_role("button", name="Show raw data")).to_be_visible()

    def told(self) -> str:
        """Give the address of the page at hand and what is written on it."""
        return f"{self.page.url}\n{self.page.inner_text('body')}"

    def keep(self, name: str, top: Locator | None = None) -> None:
        """Keep a picture of the page at hand, when it has come to rest, from `top` on."""
        if top is not None:
            top.evaluate("element => element.scrollIntoView()")
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(600)
        self.page.screenshot(path=self._pictures / f"{name}.png")


def field(form: Page | Locator, name: str) -> Locator:
    """Find the input below a label; the UI does not tie the two together."""
    label = form.get_by_text(re.compile(rf"^{name}( \(Optional\))?$"))
    return label.locator(_INPUT)


def choose(form: Locator, name: str, value: str) -> None:
    """Choose from a list by the keyboard: a click opens it and closes it again.

    The first button below a label is the menu of its field, the second one the list.
    """
    label = form.get_by_text(re.compile(rf"^{name}$"))
    label.locator("xpath=following::button[2]").press("ArrowDown")
    form.page.get_by_role("option", name=value).click()


@contextmanager
def desk(address: str, pictures: Path) -> Iterator[Desk]:
    """Open Debian's Chromium, headless, with a profile of its own."""
    expect.set_options(timeout=_PAGE_SECONDS * 1000)
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile, sync_playwright() as play:
        browser = play.chromium.launch_persistent_context(
            profile, executable_path=_CHROMIUM, headless=True, args=list(_FLAGS), viewport=_SIZE
        )
        browser.set_default_timeout(_PAGE_SECONDS * 1000)
        try:
            yield Desk(browser.pages[0], address, pictures)
        finally:
            browser.close()
