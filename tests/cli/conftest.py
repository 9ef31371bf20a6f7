"""One small shop for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.shop import ShopOfTests, small_shop


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest) -> Iterator[ShopOfTests]:
    """A PostgreSQL with a shop, an application that writes, and an inventory of both."""
    name = request.module.__name__.rpartition("_")[2]
    with small_shop(f"cli-{name}") as made:
        yield made


@pytest.fixture(scope="module")
def backed_up(shop: ShopOfTests) -> ShopOfTests:
    """The shop with a backup that the command line has taken."""
    done = shop.run("base-backup", "--go", "--label", "taken by the tests")
    assert done.returncode == 0, done.stderr
    return shop
