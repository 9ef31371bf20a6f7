"""The laws of component-restore: loaded beside the living database, checked, swapped by rename."""

from __future__ import annotations

import psycopg
import pytest

from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
from tests.laws import component_restore_scene, component_scene
from tests.laws.component_restore_scene import Restores, loads
from tests.laws.component_scene import DATABASES
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


def test_a_dry_run_changes_nothing_and_shows_everything(
    there: Restores, loopback_lab: LoopbackLab
) -> None:
    there.scene.local = False
    before = there.scene.files()
    reading = component_scene.READING
    with there.app_frozen(), loopback_lab.unchanged(there.first, scripts=reading) as seen:
        outcome = there.run(database="all", dry_run=True)
    assert outcome.completed, outcome.said
    programs = {component_scene.in_root(each.command) for each in seen.commands["cr"]}
    assert programs <= {"", "sh", "find", "tail"}
    assert there.scene.files() == before
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    for database in DATABASES:
        assert f"-d {database}_incoming_" in page
        assert f'"{database}" RENAME TO "{database}_aside_' in page
        for fact in (f"LOST of {database}", f"age of {database}", f"{database} now"):
            assert fact in page
    assert "0 sessions, which are ended" in page


def test_a_database_goes_back_with_all_that_belongs_to_it_and_the_old_one_stays(
    there: Restores,
) -> None:
    there.scene.local = False
    there.first.psql("ALTER DATABASE component SET work_mem TO '1MB'")
    there.first.psql("COMMENT ON DATABASE component IS 'spoilt'")
    there.first.psql("ALTER DATABASE component OWNER TO viewer")
    changed, shop = there.rows(), there.text("auditlog")
    outcome = there.restored()
    assert there.text("component") == there.dumped["component"]
    assert there.text("auditlog") == shop
    assert not [line for line in outcome.commands if "hidden" in line]
    assert there.names() == ["component_aside_MOMENT"]
    old = there.made()[0]
    with pytest.raises(LabError, match="not currently accepting connections"):
        there.first.tool("psql", "-d", old, "-c", "SELECT 1")
    there.first.psql(f"ALTER DATABASE {old} ALLOW_CONNECTIONS true")
    assert there.scene.fingerprint("component", held_in=old) == changed
    order = [
        next(number for number, line in enumerate(outcome.commands) if word in line)
        for word in ("--exit-on-error", "app.sh stop", "RENAME TO", "app.sh start")
    ]
    assert order == sorted(order)
    assert there.app_runs()
    again = there.restored()
    assert (again.changed, loads(again)) == (0, [])
    there.first.psql("DELETE FROM public.users WHERE id = 7", database="component")
    assert there.restored(again=True).changed > 0
    assert there.text("component") == there.dumped["component"]
    assert there.names() == ["component_aside_MOMENT"] * 2


def test_all_databases_go_back_together_and_those_that_are_gone_come_back(there: Restores) -> None:
    there.first.psql("DROP DATABASE component WITH (FORCE)")
    there.first.psql("CREATE DATABASE bystander")
    outcome = there.restored(database="all")
    assert {name: there.text(name) for name in DATABASES} == there.dumped
    assert there.names() == ["auditlog_aside_MOMENT", "zabbix_aside_MOMENT"]
    assert len([line for line in outcome.commands if "RENAME TO" in line]) == 1
    assert there.restored(database="all").changed == 0
    there.first.psql("DROP DATABASE bystander")


def test_a_database_in_use_is_swapped_and_those_who_come_again_at_once_find_the_new_one(
    there: Restores,
) -> None:
    with psycopg.connect(there.first.conninfo("component"), autocommit=True) as session:
        session.execute("BEGIN; LOCK TABLE public.users IN ACCESS EXCLUSIVE MODE")
        assert "1 sessions" in str(there.run(dry_run=True).plan)
        with there.stubborn("component"):
            there.restored()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert there.text("component") == there.dumped["component"]


def test_the_way_back_of_the_page_brings_the_old_database_back(there: Restores) -> None:
    changed = there.rows()
    there.restored()
    for line in component_restore_scene.way_back(there.made()[0]):
        there.first.psql(line)
    assert there.rows() == changed
    assert there.is_open()
    there.first.psql("DROP DATABASE component_undone")
    there.restored()
    assert there.text("component") == there.dumped["component"]


def test_the_old_database_is_discarded_once_its_successor_is_in_service(there: Restores) -> None:
    assert there.run(database="all", at=Point("8")).ended == "killed"
    kept = there.made()
    assert len(kept) == len(DATABASES)
    for name in kept:
        refused = discard(there, name)
        assert refused.ended == "CheckFailed", refused.said
        assert f"{name}: way back of the restore of {there.stamp}, not at its end" in refused.said
    assert there.made() == kept
    there.restored(database="all")
    assert discard(there, kept[0], dry_run=True).completed
    assert there.made() == kept
    _is_not_discarded_with_a_subscription(there, kept[0])
    for name in kept:
        outcome = discard(there, name)
        assert outcome.completed, outcome.said
    assert there.made() == []
    assert {name: there.text(name) for name in DATABASES} == there.dumped
    assert discard(there, kept[0]).changed == 0


def _is_not_discarded_with_a_subscription(there: Restores, name: str) -> None:
    there.first.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    made = "CREATE SUBSCRIPTION theirs CONNECTION 'host=/nowhere' PUBLICATION p WITH ({})"
    there.first.psql(made.format("connect = false"), database=name)
    there.first.psql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    refused = discard(there, name)
    assert refused.ended == "CheckFailed", refused.said
    assert f"{name}: theirs" in refused.said
    opening, _, rest = refused.said.partition("in postgres: ")[2].partition(f"; then in {name}: ")
    there.first.psql(opening)
    there.first.psql(rest.partition(". ")[0], database=name)


def test_the_only_copy_of_a_database_is_not_discarded(there: Restores) -> None:
    there.restored()
    kept = there.made()
    there.first.psql("ALTER DATABASE component RENAME TO component_elsewhere")
    refused = discard(there, kept[0])
    assert refused.ended == "CheckFailed", refused.said
    assert f"{kept[0]}: no database bears the name that it had" in refused.said
    assert there.made() == kept
    there.first.psql("ALTER DATABASE component_elsewhere RENAME TO component")


def discard(there: Restores, name: str, **arguments: object) -> Outcome:
    """Drop what was set aside at the moment in a name."""
    return there.scene.run("discard-databases", moment=name[-14:], **arguments)
