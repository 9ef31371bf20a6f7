"""logical-recovery when the way to the node, or the store, fails in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.stores.proxy import Proxy
from tests.lab import processes, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.s3 import S3Server
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import (
    ASIDE,
    Recoverable,
    asides,
    assert_recovered,
    blocked,
    limits,
    loads,
    recover,
    unblock,
)
from tests.laws.logical_recovery_store import stored
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

IN_THE_LOAD = Point("11", transfer=True)
ROOM = 320 << 20


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    base = tmp_path_factory.mktemp("lrf")
    return logical_recovery_scene.build(loopback_lab, "lrf", "lrg", base=base)


@pytest.fixture
def damaged(scene: Recoverable) -> Iterator[Recoverable]:
    """The pair as it was after the damage."""
    scene.reset()
    yield scene
    scene.halt()
    unblock(scene)


def loaders(node: PostgresNode) -> list[str]:
    """Name the sessions of a load."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg-runbooks load'"
    return node.psql(sql).splitlines()


def is_kept_closed(scene: Recoverable, failed: Outcome) -> None:
    """The old databases stand aside, what is half loaded lets in nobody; the run says so."""
    first = scene.nodes[0]
    assert "HINT:" in failed.said
    assert "The databases of before stand aside on the primary" in failed.said
    assert asides(first) == list(ASIDE)
    assert set(limits(first).values()) == {"0"}
    assert not any(app.pid for app in scene.apps)


def test_ssh_that_is_cut_during_the_load_leaves_no_loader_and_it_goes_on(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    cut = first.host.cut_sessions
    failed = damaged.run_with("logical-recovery", IN_THE_LOAD, cut, backup=damaged.id)
    assert failed.cut_off, failed.said
    assert "during the load" in failed.said
    processes.until(lambda: not loaders(first), "no session of the load is left", within=60)
    assert damaged.strays() == []
    assert not blocked(damaged)
    is_kept_closed(damaged, failed)
    outcome = recover(damaged)
    assert outcome.completed, outcome.said
    assert_recovered(damaged)
    assert loads([failed, outcome]) == 2


def test_sessions_that_outlive_the_connection_are_ended_by_the_next_run(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    with ExitStack() as stack:
        failed = damaged.run_with(
            "logical-recovery",
            IN_THE_LOAD,
            lambda: stack.enter_context(trouble.half_open(first.host)),
            backup=damaged.id,
        )
        assert failed.cut_off, failed.said
        left = loaders(first)
        assert left, "the host has heard nothing of it"
        assert not blocked(damaged)
        is_kept_closed(damaged, failed)
        outcome = recover(damaged)
        assert outcome.completed, outcome.said
    assert not set(left) & set(loaders(first))
    assert_recovered(damaged)


def test_a_host_that_stays_away_is_told_with_the_port_that_stays_closed(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    failed = damaged.run_with(
        "logical-recovery", IN_THE_LOAD, first.host.stop_ssh, backup=damaged.id
    )
    assert failed.cut_off, failed.said
    first.host.start_ssh()
    assert blocked(damaged)
    assert f"The port of {first.name} may be closed still" in failed.said
    assert f"nft delete table inet pg_runbooks_{first.name}_{first.port}" in failed.said
    is_kept_closed(damaged, failed)
    outcome = recover(damaged)
    assert outcome.completed, outcome.said
    assert_recovered(damaged)


def test_a_disk_that_fills_during_the_load_is_told_and_it_goes_on_with_room(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    first.psql("ALTER SYSTEM SET max_wal_size = '64MB'")
    first.stop()
    with trouble.small_disk(first, free=ROOM) as ballast:
        first.start()
        failed = damaged.run_with(
            "logical-recovery", IN_THE_LOAD, lambda: trouble.fill(ballast, 0), backup=damaged.id
        )
        assert failed.ended == "LoadFailed", failed.said
        assert "SQLSTATE 53100" in failed.said
        assert "Make room on the node" in failed.said
        assert not blocked(damaged)
        is_kept_closed(damaged, failed)
        ballast.unlink()
        outcome = recover(damaged)
        assert outcome.completed, outcome.said
        assert_recovered(damaged)
        first.stop("immediate")


def test_a_server_that_dies_of_a_full_disk_in_the_load_is_told_and_what_to_do(
    damaged: Recoverable,
) -> None:
    first = damaged.nodes[0]
    first.psql("ALTER SYSTEM SET max_wal_size = '64MB'")
    first.stop()

    def dies() -> None:
        trouble.fill(ballast, 0)
        by_psql(first, "SELECT pg_switch_wal(); CHECKPOINT")
        processes.until(lambda: not first.is_running(), "the server is dead")

    with trouble.small_disk(first, free=ROOM) as ballast:
        first.start()
        failed = damaged.run_with("logical-recovery", IN_THE_LOAD, dies, backup=damaged.id)
        assert "during the load" in failed.said
        assert "The databases of before stand aside on the primary" in failed.said
        assert not blocked(damaged)
        down = recover(damaged)
        assert down.ended == "NoPrimary", down.said
        assert f"A recovery was begun on {first.name}" in down.said
        assert "make room where its disk is full, start PostgreSQL there" in down.said
        ballast.unlink()
        first.start()
        is_kept_closed(damaged, failed)
        outcome = recover(damaged)
        assert outcome.completed, outcome.said
        assert_recovered(damaged)
        first.stop("immediate")


def by_psql(node: PostgresNode, sql: str) -> str:
    """Run a statement that may cost the server its life; give what psql says."""
    argv = [node.bin_directory / "psql", "-XAtqc", sql, "-h", node.socket_directory]
    return processes.run([*argv, "-p", str(node.port)], user="postgres", check=False).stderr


def test_a_part_that_is_lost_during_the_load_stops_it_and_one_that_is_late_does_not(
    damaged: Recoverable, moto_s3: S3Server, tmp_path: Path
) -> None:
    with stored(damaged, moto_s3, tmp_path) as store:
        _lost_and_late(damaged, store)


def _lost_and_late(damaged: Recoverable, store: Proxy) -> None:
    part = f"/{damaged.id}-1 ".encode()
    failed = damaged.run_with(
        "logical-recovery", Point("10"), lambda: store.refuse(part, 403), backup=damaged.id
    )
    assert failed.ended == "StoreForbidden", failed.said
    assert f"{damaged.id}-1" in failed.said
    assert not blocked(damaged)
    assert loaders(damaged.nodes[0]) == damaged.strays() == []
    is_kept_closed(damaged, failed)
    store.refuse(part, 503, times=0)
    outcome = damaged.run_with(
        "logical-recovery",
        Point("10"),
        lambda: store.refuse(part, 503, times=2),
        backup=damaged.id,
    )
    assert outcome.completed, outcome.said
    assert store.left == 0, "the store was not asked for it"
    assert_recovered(damaged)
