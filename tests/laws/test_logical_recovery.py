"""The laws of DESIGN section 4 for logical-recovery."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.lab import judge, processes, shop
from tests.lab.loopback import LoopbackLab
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import (
    Recoverable,
    asides,
    assert_recovered,
    blocked,
    by_hand,
    facts,
    forget,
    limits,
    loads,
    recover,
    rows,
    rules,
    store,
    unblock,
)
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab

STEPS = [str(number) for number in range(1, 18)]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    base = tmp_path_factory.mktemp("lr")
    return logical_recovery_scene.build(loopback_lab, "lra", "lrb", base=base)


@pytest.fixture
def damaged(scene: Recoverable) -> Iterator[Recoverable]:
    """The pair as it was after the damage."""
    scene.reset()
    yield scene
    scene.login = "root"
    scene.halt()
    unblock(scene)


def test_a_dry_run_changes_nothing_and_prints_every_step(damaged: Recoverable) -> None:
    damaged.login = "postgres"
    with damaged.unchanged(*logical_recovery_scene.READING):
        outcome = recover(damaged, dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == STEPS
    shown = outcome.plan.markdown()
    assert 'ALTER DATABASE "shop" RENAME TO "shop_aside_MOMENT"' in shown
    assert "database shop:** stands there with" in shown
    assert f"psql --quiet postgres < {damaged.id}.dump" in shown
    assert shown.count("standby clone") == shown.count("standby register -F") == 1
    assert "LOST: all since 2025-02-21" in shown


def test_all_databases_go_back_and_a_second_run_changes_nothing(damaged: Recoverable) -> None:
    first = damaged.nodes[0]
    outcome = recover(damaged)
    assert outcome.completed, outcome.said
    assert_recovered(damaged)
    before = rows(first)
    processes.until(lambda: rows(first) > before, "the application writes", within=60)
    judge.amcheck(first)
    damaged.login = "postgres"
    with damaged.unchanged(*logical_recovery_scene.READING):
        second = recover(damaged)
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")


def test_cancelled_in_the_load_nothing_is_left_behind_and_it_goes_on(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    old = shop.fingerprint(first)
    cancelled = recover(damaged, at=Point("11", transfer=True, signal=signal.SIGTERM))
    assert cancelled.ended == "_Terminated", cancelled.said
    assert not blocked(damaged)
    assert damaged.strays() == []
    assert asides(first) == ["ledger", "postgres", "repmgr", "shop"]
    assert set(limits(first).values()) == {"0"}
    _is_kept(damaged)
    _go_back_by_hand(damaged)
    assert shop.fingerprint(first) == old
    assert first.psql("SELECT max(id) FROM notes") == "99"
    outcome = recover(damaged)
    assert outcome.completed, outcome.said
    assert_recovered(damaged)


def _is_kept(scene: Recoverable) -> None:
    """What an unfinished recovery needs for its way back is not discarded."""
    first = scene.nodes[0]
    moment = first.psql("SELECT max(right(datname, 14)) FROM pg_database WHERE datname ~ '_aside_'")
    outcome = scene.run("discard-databases", moment=moment)
    assert outcome.ended == "CheckFailed", outcome.said
    assert f"shop_aside_{moment}" in outcome.said
    assert scene.id in outcome.said
    assert asides(first) == ["ledger", "postgres", "repmgr", "shop"]


def _go_back_by_hand(scene: Recoverable) -> None:
    """The way back on the runbook's page, with its own commands."""
    node = scene.nodes[0]
    look, *renamings, drop = by_hand("The way back by hand")
    assert look[1] == "\\l"
    assert not [sql for _, sql in renamings if "DROP" in sql]
    names = node.psql("SELECT datname FROM pg_database").splitlines()
    found = {name.partition("_aside_")[0]: name for name in names if "_aside_" in name}
    for name, aside in found.items():
        for through, sql in renamings if name in names else renamings[1:]:
            said = sql.replace("shop_aside_MOMENT", aside).replace("shop", name)
            node.psql(said, database="template1" if name == "postgres" else through)
    assert shop.fingerprint(node) != scene.fingerprints
    for name in set(found) & set(names):
        node.psql(drop[1].replace("shop", name), database=drop[0])
    (node.data_directory / "pgsql_tmp_recovered.json").unlink()
    for app in scene.apps:
        app.start()
    rebuilt = scene.run("standby-rebuild", standby=scene.nodes[1].name)
    assert rebuilt.completed, rebuilt.said


def test_an_error_in_the_dump_stops_it_and_another_backup_takes_its_place(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    name = store(damaged, logical_recovery_scene.STAMP + 60, _without_a_key(damaged))
    try:
        failed = recover(damaged, backup="latest")
    finally:
        forget(damaged, name)
    assert failed.ended == "LoadFailed", failed.said
    assert "ordres" in failed.said
    assert "HINT:" in failed.said
    assert not blocked(damaged)
    assert asides(first) == ["ledger", "postgres", "repmgr", "shop"]
    assert set(limits(first).values()) == {"0"}
    first.psql("DROP DATABASE shop; CREATE DATABASE shop")
    first.psql("CREATE TABLE precious AS SELECT 1 AS one", database="shop")
    plan = recover(damaged, dry_run=True).plan
    assert plan is not None
    shown = plan.markdown()
    assert 'DROP DATABASE "ledger" WITH (FORCE)' in shown
    assert "half loaded: DROPPED and loaded anew" in shown
    assert 'DROP DATABASE "shop" WITH (FORCE)' not in shown
    assert 'ALTER DATABASE "shop" RENAME TO "shop_aside_' in shown
    outcome = recover(damaged)
    assert outcome.completed, outcome.said
    assert_recovered(damaged, aside=["ledger", "postgres", "repmgr", "shop", "shop"])
    assert loads([failed, outcome]) == 2
    kept = first.psql("SELECT max(datname) FROM pg_database WHERE datname ~ 'shop_aside_'")
    first.psql(f"ALTER DATABASE {kept} ALLOW_CONNECTIONS true")
    assert first.psql("SELECT one FROM precious", database=kept) == "1"


def test_what_differs_from_the_backup_stops_it_until_it_is_declared_harmless(
    damaged: Recoverable,
) -> None:
    """A pattern of expected errors that is too wide lets a lost key pass: the proof does not."""
    name = store(damaged, logical_recovery_scene.STAMP + 60, _without_a_key(damaged))
    damaged.recovery["expected_errors"] = ["already exists", "ordres"]
    try:
        failed = recover(damaged, backup=name)
        assert failed.ended == "CheckFailed", failed.said
        assert "shop lacks: ALTER TABLE ONLY public.ordres ADD CONSTRAINT" in failed.said
        assert "expected_differences" in failed.said
        assert not blocked(damaged)
        assert not judge.streaming(damaged.nodes[0], damaged.nodes)
        assert set(limits(damaged.nodes[0]).values()) == {"0"}
        plan = recover(damaged, backup=name, again=True, dry_run=True).plan
        assert plan is not None
        assert 'DROP DATABASE "shop" WITH (FORCE)' in plan.markdown()
        damaged.recovery["expected_differences"] = ["lacks: .* public.ordres"]
        outcome = recover(damaged, backup=name)
    finally:
        forget(damaged, name)
        damaged.recovery.clear()
    assert outcome.completed, outcome.said
    assert loads([failed, outcome]) == 1


def _without_a_key(scene: Recoverable) -> bytes:
    key = b"ALTER TABLE ONLY public.%s\n    ADD CONSTRAINT orders_pkey"
    broken = scene.sql.replace(key % b"orders", key % b"ordres")
    assert broken != scene.sql
    return broken


def test_a_primary_that_is_replaced_during_the_load_is_noticed(damaged: Recoverable) -> None:
    standby = damaged.nodes[1]

    def promote() -> None:
        standby.start()
        standby.psql("SELECT pg_promote()")

    outcome = damaged.run_with(
        "logical-recovery", Point("11", transfer=True), promote, backup=damaged.id
    )
    assert outcome.ended == "CheckFailed", outcome.said
    assert "is the only node that accepts writes" in outcome.said
    assert not blocked(damaged)
    assert facts(damaged.nodes[0]) == damaged.ledger


_SCRIPT = """BEGIN;
CREATE ROLE of_this_site LOGIN;
CREATE ROLE teller LOGIN;
COMMIT;
CREATE DATABASE shop;
{words} reader TO of_this_site;
"""


def test_a_new_site_that_has_nothing_of_it_gets_all_of_it_and_its_own_roles(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    for app in damaged.apps:
        app.stop()
    first.psql("DROP DATABASE shop; DROP DATABASE ledger; DROP TABLE notes")
    first.psql("DROP ROLE teller; DROP ROLE reader")
    script = first.host.directory / "roles.sql"
    script.write_text(_SCRIPT.format(words="GRAND"))
    damaged.recovery["role_script"] = str(script)
    try:
        failed = recover(damaged, scenario="new-site")
        assert failed.ended == "CommandFailed", failed.said
        assert 'syntax error at or near "GRAND"' in failed.said
        assert 'role_script to ""' in failed.said
        assert "already exists" not in failed.said
        script.write_text(_SCRIPT.format(words="GRANT"))
        killed = recover(damaged, scenario="new-site", at=Point("13", 2))
        assert killed.ended == "killed", killed.said
        outcome = recover(damaged, scenario="new-site")
    finally:
        damaged.recovery.clear()
    assert outcome.completed, outcome.said
    assert loads([failed, killed, outcome]) == 1
    members = "SELECT pg_has_role('of_this_site', 'reader', 'member')"
    assert first.psql(members) == "t"
    first.psql("DROP ROLE of_this_site")
    assert_recovered(damaged, aside=["postgres", "repmgr"])


def test_repmgrd_is_kept_quiet_and_a_second_recovery_is_refused_meanwhile(
    damaged: Recoverable,
) -> None:
    second = []
    first = damaged.nodes[0]
    daemons = damaged.daemons(automatic=True)
    daemons.start()

    def another() -> None:
        rule = f"ip daddr {first.host.address} tcp dport @closed reject"
        assert rule in rules(first), "another lab's server on the same port is not disturbed"
        second.append(recover(damaged))

    outcome = damaged.run_with("logical-recovery", Point("10", 1), another, backup=damaged.id)
    assert outcome.completed, outcome.said
    assert second[0].ended == "Held"
    assert "another run holds cluster" in second[0].said
    assert_recovered(damaged)
    processes.until(
        lambda: all(daemons.pid(node) and not daemons.paused(node) for node in damaged.nodes),
        "every repmgrd works",
        within=60,
    )
