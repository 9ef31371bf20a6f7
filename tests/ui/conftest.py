"""One shop, one control room and one browser for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.desk import Desk, desk
from tests.ui.scene import SHOP, Scene, scene


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell in the report of a failed test what the browser showed."""
    report = yield
    shown = getattr(item, "funcargs", {}).get("browser")
    if report.when == "call" and report.failed and isinstance(shown, Desk):
        report.sections.append(("page in the browser", shown.told()))
    return report


@pytest.fixture(scope="package")
def shop() -> Iterator[Scene]:
    """Open the shop, with one backup in its store."""
    with scene() as opened:
        at_least = opened.shop.orders()
        opened.program("run", "base-backup", "--cluster", SHOP, "--go")
        yield replace(opened, orders_backed_up=at_least)


@pytest.fixture(scope="package")
def browser(shop: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Open the browser; PG_RUNBOOKS_SCREENS names the folder of its pictures."""
    wanted = os.environ.get("PG_RUNBOOKS_SCREENS")
    pictures = Path(wanted) if wanted else tmp_path_factory.mktemp("screens")
    with desk(shop.room.ui, pictures) as opened:
        yield opened
