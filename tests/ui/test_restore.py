"""The runbooks as the DBA on call meets them: in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from flows import physical
from runbook.approvers.one_time_code import new_secret
from runbook.audit import read_trail
from tests.ui.desk import Desk, choose, field
from tests.ui.scene import SHOP, Scene

pytestmark = pytest.mark.ui

_DIGEST = re.compile(r"SHA-256 of this plan:\s*([0-9a-f]{64})")
_APPROVER = "Dana Reyes"


def test_a_dry_run_of_a_backup_leaves_its_plan_and_nothing_else(shop: Scene, browser: Desk) -> None:
    before = shop.backups()
    browser.open_deployment("base-backup")
    browser.open_run_form()
    expect(field(browser.page, "cluster")).to_have_value(SHOP)
    expect(field(browser.page, "dry_run")).to_have_attribute("aria-checked", "true")
    browser.submit_run()
    browser.await_state("Planned")
    browser.open_artifact(f"base-backup-{SHOP}-plan")
    _shows_every_step(browser.page, "base_backup")
    assert shop.backups() == before


def test_a_refused_restore_is_cancelled_with_its_reason_and_changes_nothing(
    shop: Scene, browser: Desk
) -> None:
    before, moment = shop.directories(), shop.now()
    orders = shop.orders_until(moment)
    _order_restore(browser, "OPS-6: is it the right night?")
    form = browser.open_question()
    choose(form, "Decision", "refuse")
    field(form, "Approver").fill(_APPROVER)
    field(form, "Reason").fill("wrong night")
    browser.answer(form)
    browser.await_state("Cancelled")
    browser.open_tab("Details")
    expect(browser.page.get_by_text("wrong night").first).to_be_visible()
    expect(browser.page.get_by_text("refused", exact=True).first).to_be_visible()
    assert shop.directories() == before
    assert shop.orders_until(moment) == orders


def test_a_wrong_code_is_told_and_the_run_asks_again(shop: Scene, browser: Desk) -> None:
    before, secret = shop.directories(), new_secret()
    with shop.policy(_APPROVER, secret):
        _order_restore(browser, "OPS-8: who are you?")
        form = _answer_with_code(browser, "000000")
        form = browser.open_question(after=form)
        told = form.get_by_text(f"did not count: the code is not {_APPROVER}'s of that moment")
        expect(told.first).to_be_visible()
        browser.keep("proof")
        choose(form, "Decision", "refuse")
        field(form, "Approver").fill(_APPROVER)
        browser.answer(form)
        browser.await_state("Cancelled")
    assert shop.directories() == before


def test_a_restore_is_ordered_read_approved_and_completed_in_the_browser(
    shop: Scene, browser: Desk
) -> None:
    browser.open("/deployments")
    browser.keep("deployments")
    moment, before = shop.now(), shop.orders_until(shop.now())
    shop.shop.execute("DROP TABLE orders")
    assert not shop.has_orders()

    run = _order_restore(browser, "OPS-7: the table orders is gone", picture="form")
    form = browser.open_question()
    digest = _reads_the_plan(shop, form)
    _is_told_a_wrong_name(browser, form)
    _is_told_a_missing_name(browser, form)
    field(form, "Confirm").fill(SHOP)
    browser.answer(form)
    browser.await_state("Completed")

    assert 0 < shop.orders_until(moment) <= before
    assert shop.orders_until(moment) >= shop.orders_backed_up
    _is_on_record(shop, run, digest)
    _tells_in_the_list(browser)
    _keeps_plan_and_result(browser, run, digest)


def _answer_with_code(browser: Desk, code: str) -> Locator:
    form = browser.open_question()
    expect(form.get_by_text(f"One person approves ({_APPROVER})").first).to_be_visible()
    choose(form, "Decision", "approve")
    field(form, "Approver").fill(_APPROVER)
    field(form, "Confirm").fill(SHOP)
    field(form, "Code").fill(code)
    browser.answer(form)
    return form


def _order_restore(browser: Desk, reason: str, picture: str = "") -> str:
    browser.open_deployment("instance-restore")
    browser.open_run_form()
    expect(browser.page.get_by_text("Id of the backup, or latest.")).to_be_visible()
    field(browser.page, "backup").fill("latest")
    field(browser.page, "reason").fill(reason)
    field(browser.page, "dry_run").click()
    if picture:
        browser.keep(picture)
    return browser.submit_run()


def _reads_the_plan(shop: Scene, form: Locator) -> str:
    """Look for all that a person must see before they agree; give the plan's digest."""
    _shows_every_step(form, "instance_restore")
    text = form.inner_text()
    for wanted in (*shop.backups(), shop.shop.node.data_directory, "shop-db", "on here:"):
        assert wanted in text
    for command in ("pg_ctl stop", "mv ", "pg_ctl start", "deployments.demo.application start"):
        assert command in text
    expect(form.get_by_text("what was written since then is lost").first).to_be_visible()
    expect(form.get_by_text("refuse ends the run as cancelled")).to_be_visible()
    found = _DIGEST.search(text)
    assert found is not None
    return found.group(1)


def _is_told_a_wrong_name(browser: Desk, form: Locator) -> None:
    choose(form, "Decision", "approve")
    field(form, "Approver").fill(_APPROVER)
    field(form, "Reason").fill("OPS-7")
    field(form, "Confirm").fill(f"{SHOP}-2")
    browser.answer(form)
    expect(browser.page.get_by_text(f"'{SHOP}' was expected").first).to_be_visible()
    browser.keep("approval")
    expect(form).to_be_visible()


def _is_told_a_missing_name(browser: Desk, form: Locator) -> None:
    field(form, "Confirm").fill("")
    browser.answer(form)
    expect(browser.page.get_by_text("'confirm' is a required property").first).to_be_visible()
    expect(form).to_be_visible()


def _is_on_record(shop: Scene, run: str, digest: str) -> None:
    events = read_trail(shop.home.state / "audit" / f"{run}.jsonl")
    said = next(entry for entry in events if entry["event"] == "answer")
    assert (said["approver"], said["plan_digest"]) == (_APPROVER, digest)
    assert said["door"] == "Prefect form"


def _tells_in_the_list(browser: Desk) -> None:
    browser.open("/runs")
    name = re.compile(rf"^instance-restore {SHOP} backup_\d{{14}}$")
    expect(browser.page.get_by_role("link", name=name).first).to_be_visible()
    for tag in ("instance-restore", "changed", "planned", "refused"):
        expect(browser.page.get_by_text(tag, exact=True).first).to_be_attached()
    expect(browser.page.get_by_text(f"base-backup {SHOP} dry run", exact=True)).to_be_visible()
    browser.keep("runs", browser.page.get_by_text("Hide subflows"))


def _keeps_plan_and_result(browser: Desk, run: str, digest: str) -> None:
    browser.open(f"/runs/flow-run/{run}")
    browser.open_artifact(f"instance-restore-{SHOP}-result")
    expect(browser.page.get_by_text("RTO").first).to_be_visible()
    for section in ("Approval", "Where the time went", "Evidence"):
        expect(_heading(browser, section)).to_be_attached()
    expect(browser.page.get_by_text(f"pg-runbooks audit show {run}").first).to_be_attached()
    browser.keep("result", _heading(browser, "3. Ask for the go-ahead"))
    browser.open(f"/runs/flow-run/{run}")
    browser.open_artifact(f"instance-restore-{SHOP}-approval")
    expect(browser.page.get_by_text(_APPROVER).first).to_be_visible()
    browser.open(f"/runs/flow-run/{run}")
    browser.open_artifact(f"instance-restore-{SHOP}-plan", digest)
    _shows_every_step(browser.page, "instance_restore")
    browser.keep("plan", _heading(browser, "3. Ask for the go-ahead"))


def _heading(browser: Desk, text: str) -> Locator:
    return browser.page.get_by_role("heading", name=text, exact=True)


def _shows_every_step(page: Page | Locator, runbook: str) -> None:
    """Hold the headings of a page in the UI against those of the runbook's written page."""
    written = (Path(physical.__path__[0]) / f"{runbook}.md").read_text()
    headings = re.findall(r"^### (\d+\. .+)$", written, re.MULTILINE)
    assert headings
    for heading in headings:
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_attached()
