"""Backups of a repmgr cluster, the page's way, from the primary and from a standby."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture
def scene(loopback_lab: LoopbackLab, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Give a cluster of two, without a replication rule for user repmgr over the host's address."""
    number = len(loopback_lab.hosts)
    cluster = loopback_lab.repmgr_cluster(f"r{number}", f"r{number + 1}", rows=300)
    base = loopback_lab.directory / f"r{number}-base"
    backup_scene.make_store(base)
    made = Scene(cluster.nodes, base, password="", one_host=True)
    made.replication = {"user": "repmgr", "method": "trust"}
    yield made
    for node in made.nodes:
        node.stop("immediate")


def rules_of(node: PostgresNode) -> str:
    return (node.data_directory / "pg_hba.conf").read_text()


def without_replication_rules(node: PostgresNode) -> None:
    path = node.data_directory / "pg_hba.conf"
    rows = [row for row in path.read_text().splitlines() if "replication" not in row]
    path.write_text("\n".join(rows) + "\n")
    node.reload()


def test_the_page_s_way_from_the_primary(scene: Scene) -> None:
    primary, standby = scene.nodes
    standby.stop()
    without_replication_rules(primary)
    processes.until(lambda: "replication" not in rules_of(primary), "the rules are gone")
    scene.on_node, scene.backups = True, {"format": "page"}
    dry = scene.run(dry_run=True)
    assert dry.completed, dry.said
    assert dry.plan is not None
    assert f"-h {primary.host.address} -p 5432 -U repmgr" in dry.plan.markdown()
    made = scene.back_up()
    assert "host    replication     repmgr          127.0.0.1/32            trust" in rules_of(
        primary
    )
    assert scene.record(made)["node"] == primary.name
    expected = backup_scene.fingerprint(primary)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected
    assert scene.run("verify-backup").completed
    assert scene.run("prune", keep=1).completed


def test_a_standby_serves_and_its_promotion_is_told(scene: Scene) -> None:
    primary, standby = scene.nodes
    scene.backups = {"source": "standby"}
    made = scene.back_up()
    assert scene.record(made)["node"] == standby.name
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == backup_scene.fingerprint(primary)
    scene.backups = {"source": "standby", "max_rate": "1M"}
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(standby)
    primary.stop()
    standby.psql("SELECT pg_promote()")
    outcome = running.outcome()
    assert not outcome.completed
    assert "promoted" in outcome.said, outcome.said
    processes.until(lambda: not scene.traces(standby), "nothing is left", within=60)
    assert scene.ids == [made]
    assert not [name for name in scene.files if ".begun" in name or ".part-" in name]


@pytest.mark.parametrize("source", ["primary", "standby"])
def test_two_writable_nodes_are_a_split_brain(scene: Scene, source: str) -> None:
    _, standby = scene.nodes
    standby.psql("SELECT pg_promote()")
    scene.backups = {"source": source}
    outcome = scene.run()
    assert outcome.ended == "CheckFailed"
    assert "split brain" in outcome.said
    assert scene.files == []
