"""A server group with component databases on the loopback lab: one server, or a pair."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from runbook import host_lock
from runbook.components import places
from runbook.postgres import node as postgres_node
from runbook.restore import place
from runbook.stores import node_folder
from tests.lab import judge, processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import inventory
from tests.laws.backup_scene import busy, give_to_postgres
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

DATABASES = ("auditlog", "component", "zabbix")
IN_ROOT = 'cd "$1" && shift && exec "$@"'
"""How a command gets another directory than the login's; `in_root` tells what it runs."""

READING = (
    IN_ROOT,
    host_lock._HOLD,
    places.WRITABLE,
    postgres_node._AT_WORK,
    postgres_node._LOCK,
    node_folder._FREE,
    place._DESCRIBE,
)
"""The scripts that only look; read them before you add one."""

_DATABASES = (
    "CREATE ROLE auth LOGIN PASSWORD 'x'; CREATE ROLE reader;"
    "CREATE DATABASE auditlog; CREATE DATABASE component OWNER auth; CREATE DATABASE zabbix;"
    "COMMENT ON DATABASE component IS 'it''s the \"Auth Server\" ü';"
    "ALTER DATABASE component SET app.jwt_secret TO 'it''s :hidden';"
    "ALTER DATABASE component SET search_path TO '$user', public, 'Odd, name';"
    "ALTER DATABASE component SET work_mem TO '9MB';"
    "ALTER ROLE auth IN DATABASE component SET \"DateStyle\" TO 'ISO, DMY';"
    "ALTER DATABASE component CONNECTION LIMIT 50;"
    "REVOKE CONNECT ON DATABASE component FROM PUBLIC;"
    "GRANT CONNECT ON DATABASE component TO reader WITH GRANT OPTION;"
)
_CONTENTS = {
    "auditlog": "CREATE TABLE events AS SELECT n AS id, md5(n::text) AS text"
    " FROM generate_series(1, {rows}) n; ALTER TABLE events ADD PRIMARY KEY (id);",
    "component": "SET search_path TO public; CREATE EXTENSION pgcrypto;"
    "CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE);"
    "INSERT INTO users (name) SELECT 'user ' || n FROM generate_series(1, 500) n;"
    "ALTER TABLE users OWNER TO auth; GRANT SELECT ON users TO reader;"
    "CREATE VIEW named AS SELECT name FROM users;"
    "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM users;",
    "zabbix": "CREATE TABLE items (id int PRIMARY KEY, value numeric);"
    "INSERT INTO items SELECT n, n / 7.0 FROM generate_series(1, 300) n;"
    "SELECT lo_from_bytea(4242, decode(repeat('5cafe0', 1000), 'hex'));",
}
_FINGERPRINTS = {
    "auditlog": "SELECT count(*), sum(hashtextextended(e::text, 0)) FROM events e",
    "component": "SELECT count(*), sum(hashtextextended(u::text, 0)) FROM public.users u;"
    "SELECT last_value FROM public.users_id_seq; SELECT * FROM public.counted",
    "zabbix": "SELECT count(*), sum(hashtextextended(i::text, 0)) FROM items i;"
    "SELECT md5(lo_get(4242))",
}


@dataclass
class Scene:
    """The servers, the first the primary; folders of dumps, a store, and the settings."""

    lab: LoopbackLab
    nodes: tuple[PostgresNode, ...]
    base: Path
    local: bool = False
    components: dict[str, Any] = field(default_factory=dict)
    stores: dict[str, Any] = field(default_factory=dict)
    apps: list[dict[str, Any]] = field(default_factory=list)
    node: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"group-{self.nodes[0].name}-{self.lab.name}"

    @property
    def first(self) -> PostgresNode:
        """The primary as it was built."""
        return self.nodes[0]

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state", timeout=120)

    def run(self, procedure: str = "component-backup", **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def back_up(self, **arguments: Any) -> str:
        """Take dumps, which must succeed; give their id."""
        outcome = self.run(**arguments)
        assert outcome.completed, outcome.said
        return max(self.ids())

    def folder(self, node: PostgresNode | None = None) -> Path:
        """Give the folder of a server's dumps."""
        return self.base / "backups" / (node or self.first).name

    @property
    def vault(self) -> Path:
        """Give the folder of the dumps in the store."""
        return self.base / "store" / self.name / "components"

    def ids(self, database: str = "auditlog", at: Path | None = None) -> list[str]:
        """Name the dumps of a database that have their record and their archive."""
        found = (at or self.folder()) / database
        whole = [path.stem for path in found.glob("*.json") if path.with_suffix(".dump").exists()]
        return sorted(name.rpartition("-")[2] for name in whole)

    def files(self) -> list[str]:
        """Name every file of all folders and of the store."""
        tops = (self.base / "backups", self.base / "store")
        found = [path for top in tops for path in top.rglob("*") if path.is_file()]
        return sorted(str(path.relative_to(self.base)) for path in found)

    def unfinished(self) -> list[str]:
        """Name every file that is no whole dump or its record."""
        whole = [name for name in self.files() if name.endswith((".dump", ".json"))]
        lonely = [
            name
            for name in whole
            if f"{name[:-5]}{'.json' if name.endswith('.dump') else '.dump'}" not in whole
        ]
        return sorted({*self.files()} - {*whole} | {*lonely})

    def archive(self, database: str, stamp: str, at: Path | None = None) -> Path:
        """Give the path of a dump."""
        return (at or self.folder()) / database / f"{database}-{stamp}.dump"

    def record(self, database: str, stamp: str, at: Path | None = None) -> dict[str, Any]:
        """Read the record of a dump."""
        path = self.archive(database, stamp, at).with_suffix(".json")
        found = json.loads(path.read_text())
        assert isinstance(found, dict)
        return found

    def empty(self) -> None:
        """Begin anew: default settings, no dumps, no history."""
        self.local, self.components, self.stores, self.node = False, {}, {}, {}
        for name in ("backups", "store", "state"):
            shutil.rmtree(self.base / name, ignore_errors=True)
        for name in ("backups", "store"):
            (self.base / name).mkdir()
        give_to_postgres(self.base / "backups")

    def traces(self) -> list[str]:
        """Name all that a run that has ended must not have left running."""
        sql = (
            "SELECT 'session ' || pid || ' ' || application_name FROM pg_stat_activity WHERE"
            " application_name IN ('pg_dump', 'pg_restore') OR (application_name = 'pg-runbooks'"
            " AND datname <> 'postgres')"
        )
        found = [line for node in self.nodes for line in node.psql(sql).splitlines()]
        programs = ("pg_dump", "pg_restore")
        return found + [line for name in programs for line in busy(self.base, name)]

    def settled(self) -> None:
        """Insist that nothing of a run is left running."""
        processes.until(lambda: not self.traces(), f"nothing runs: {self.traces()}", within=60)

    def replayed(self) -> None:
        """Wait until every standby has replayed what the primary has written."""
        written = judge.position(self.first)
        has_all = lambda: all(judge.position(node) >= written for node in self.nodes)  # noqa: E731
        processes.until(has_all, "the standbys have replayed it")

    @contextmanager
    def locked(self, table: str, database: str) -> Iterator[None]:
        """Hold a table on every server, so that a dump of it waits.

        A lock is written to WAL and flushed by nobody: the standbys learn of it by the next flush.
        """
        held = "SELECT count(*) > 0 FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'"
        with psycopg.connect(self.first.conninfo(database)) as session:
            session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            self.first.psql("SELECT pg_switch_wal()")
            everywhere = lambda: all(node.psql(held) == "t" for node in self.nodes)  # noqa: E731
            processes.until(everywhere, f"{table} is held")
            yield

    def until_dumping(self, node: PostgresNode | None = None) -> None:
        """Wait until a dump waits for a table."""
        waiting = (
            "SELECT count(*) > 0 FROM pg_stat_activity"
            " WHERE application_name = 'pg-runbooks' AND wait_event_type = 'Lock'"
        )
        processes.until(
            lambda: (node or self.first).psql(waiting) == "t", "a dump waits for a lock"
        )

    def fingerprint(
        self, database: str, node: PostgresNode | None = None, *, held_in: str = ""
    ) -> str:
        """Give what a component database holds."""
        return (node or self.first).psql(_FINGERPRINTS[database], database=held_in or database)

    def _inventory(self) -> dict[str, Any]:
        cluster = {
            "nodes": [self._node(node) for node in self.nodes],
            "backups": {"store": "store"},
            "apps": self.apps,
            "components": {
                "databases": list(DATABASES),
                "directory": f"{self.base}/backups/{{node}}",
                **self.components,
            },
        }
        made = inventory.of_one(self.name, cluster, self.base)
        return {**made, "stores": {**made["stores"], **self.stores}}

    def _node(self, node: PostgresNode) -> dict[str, Any]:
        server = {**inventory.server(node), **self.node}
        way = {"host": {"name": node.name, "way": {"kind": "local"}}} if self.local else {}
        return {**server, **way}


def build(lab: LoopbackLab, *names: str, rows: int = 20000) -> Scene:
    """Make a server with component databases; with more names, its standbys too."""
    nodes = (lab.postgres(names[0]),) if len(names) == 1 else lab.repmgr_cluster(*names).nodes
    first = nodes[0]
    for statement in _DATABASES.split(";"):
        first.psql(statement)
    for database, contents in _CONTENTS.items():
        first.psql(contents.format(rows=rows), database=database)
    base = lab.directory / f"{first.name}-base"
    base.mkdir(mode=0o755)
    scene = Scene(lab, nodes, base)
    scene.replayed()
    scene.empty()
    return scene


def in_root(command: str) -> str:
    """Give the program that a command runs in another directory; empty for any other command."""
    words = shlex.split(command)
    if words[:3] != ["sh", "-c", IN_ROOT]:
        return ""
    rest = [word for word in words[5:] if word != "env" and not word.startswith("LC_ALL=")]
    return "sh" if rest[:2] == ["sh", "-c"] and rest[2] in READING else rest[0]


def restored_by_hand(node: PostgresNode, archive: Path, database: str) -> None:
    """Load an archive as the page of PostgreSQL says, into a database made for it."""
    node.psql(f"CREATE DATABASE {database}")
    node.tool("pg_restore", "--exit-on-error", "-d", database, archive)
