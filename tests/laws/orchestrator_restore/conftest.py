"""Both machines of a move, once, with a backup of each kind; anew before each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import orchestrator
from tests.lab.loopback import LoopbackLab
from tests.laws import orchestrator_restore_scene
from tests.laws.orchestrator_restore.judged import ROW
from tests.laws.orchestrator_restore_scene import Moving
from tests.laws.orchestrator_scene import SECRET, Scene

GUARDED = (
    "CREATE FUNCTION allowed(text) RETURNS boolean LANGUAGE sql AS"
    " $$ SELECT coalesce(current_setting('lab.allowed', true), '') = 'yes' $$",
    "CREATE TABLE guarded (content text CHECK (allowed(content)))",
    f"INSERT INTO guarded VALUES ('{ROW}')",
)


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> tuple[Moving, dict[str, str]]:
    """Build both machines once, with a backup of each kind."""
    moving = orchestrator_restore_scene.build(loopback_lab)
    backups = {"automated": moving.before.back_up(), "manual": moving.before.back_up(way="manual")}
    moving.before.orchestrator = {"program": str(moving.before.programs["c"])}
    backups["custom"] = moving.before.back_up()
    moving.before.orchestrator = {}
    with guarded(moving.before):
        backups["guarded automated"] = moving.before.back_up()
        backups["guarded manual"] = moving.before.back_up(way="manual")
    return moving, backups


@contextmanager
def guarded(old: Scene) -> Iterator[None]:
    """Let the old one have a row that no other server takes."""
    database = orchestrator.DATABASE
    for statement in GUARDED:
        old.node.psql(f"SET ROLE {database}; {statement}", database=database)
    yield
    old.node.psql("DROP TABLE guarded; DROP FUNCTION allowed", database=database)


@pytest.fixture
def backups(built: tuple[Moving, dict[str, str]]) -> dict[str, str]:
    """Give the backups by their kind."""
    return built[1]


@pytest.fixture
def scene(built: tuple[Moving, dict[str, str]]) -> Iterator[Moving]:
    """Give the old one alive, and the new one as its image has it."""
    moving = built[0]
    moving.fresh()
    yield moving
    told = (moving.base / "told").read_text(errors="replace")
    assert SECRET not in told
    assert ROW not in told
