"""The old primary after the standby was promoted: what it alone has, keeps aside, and follows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.lab import processes, split, trouble
from tests.lab.postgres import PostgresNode
from tests.laws.outcome import Outcome
from tests.laws.rebuild_troubles import assert_whole
from tests.laws.replication_scene import Scene

ALONE = ("CREATE TABLE only_here AS SELECT 1 AS x", "UPDATE customers SET name = 'changed'")
MARK = "pgsql_tmp_restored.json"
OF_THE_PRIMARY = (
    *("pgsql_tmp_recovered.json", "pgsql_tmp_standby.json"),
    "pgsql_tmp_replication.pass",
)


def rejoin(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("rejoin", **{"node": "ja", **arguments})


def hand_over(scene: Scene, *, alone: Sequence[str] = (), crash: bool = False) -> PostgresNode:
    """Stop the primary and promote the standby; what is in `alone` only the old one has."""
    old, new = scene.node("ja"), scene.node("jb")
    with split.cut_off(*([new] if alone else [])):
        for statement in alone:
            old.psql(statement, database="shop")
        trouble.kill(old) if crash else old.stop()
        scene.cluster.repmgr(new, "standby", "promote")
    return old


def marked(node: PostgresNode) -> None:
    """Leave on a node what a clone of long ago, and other runs, have left in its data directory."""
    about = {"backup": "clone of ja", "run_id": "0123", "stamp": "20200101000000"}
    moments = dict.fromkeys(("verified", "finished"), "2020-01-01T00:00:00Z")
    text = json.dumps({**about, **moments, "names": [], "kept": {}})
    for name in (MARK, *OF_THE_PRIMARY):
        (node.data_directory / name).write_text(text)
        shutil.chown(node.data_directory / name, "postgres", "postgres")


def kept(node: PostgresNode) -> list[Path]:
    return sorted(node.directory.glob("main.diverged-*"))


def assert_back(scene: Scene) -> None:
    """Judge from outside: the old primary follows, and keeps no WAL for anybody."""
    assert_whole(scene, "jb", "ja")
    old = scene.node("ja")
    assert scene.slots(old) == {}
    assert old.psql("SELECT to_regclass('only_here') IS NULL", database="shop") == "t"
    left = [path.name for path in old.directory.iterdir() if path.name.startswith("main.")]
    assert not [name for name in left if not name.startswith(("main.diverged-", "main.aside-"))]


def commits(node: PostgresNode, there: Path) -> int:
    """Count the commits in the WAL that was kept, from the fork in its name on."""
    start = there.name.rpartition("-")[2].replace("_", "/")
    first = sorted((there / "pg_wal").glob("0" * 7 + "1*"))[0]
    argv = [node.bin_directory / "pg_waldump", "-r", "Transaction", "-s", start, first]
    return processes.run(argv, check=False).stdout.count("desc: COMMIT")
