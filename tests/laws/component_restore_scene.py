"""A server whose component databases were dumped, and have been written to since."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import psycopg

from tests.lab import counting, processes, shop_client
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import component_scene, inventory
from tests.laws.component_scene import DATABASES, Scene
from tests.laws.outcome import Outcome

PAGE = Path(__file__).parents[2] / "flows/platform/component_restore.md"
LOADING = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE '%_incoming_%'"
    " AND query LIKE 'CREATE INDEX gated%'"
)

# What a restore's mark adds, a setting of its own and another session, and what is never the same.
_UNTOLD = re.compile(r"^\\((un)?restrict|connect) |^--|^SET |set_config\(|pg_runbooks\.restored")

# An index that is not made while a file lies in the data directory; a role, a table with an odd
# name, and an extension with rows of its own.
_GATE = """
CREATE ROLE viewer;
CREATE TABLE "Odd (a.b) ""c" ("x y" int, "(" text);
INSERT INTO "Odd (a.b) ""c" VALUES (1, E'\\\\.\nCOPY x.y FROM stdin;'), (2, '');
CREATE TABLE parted (n int) PARTITION BY RANGE (n);
CREATE TABLE parts PARTITION OF parted FOR VALUES FROM (0) TO (10); INSERT INTO parted VALUES (1);
CREATE FUNCTION public.gate(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
  WHILE (pg_catalog.pg_stat_file('gate', true)).size IS NOT NULL LOOP
    PERFORM pg_catalog.pg_sleep(0.02);
  END LOOP;
  RETURN $1; END $$;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE moody (m mood, n int) PARTITION BY LIST (n);
CREATE TABLE moods PARTITION OF moody FOR VALUES IN (1) PARTITION BY HASH (m);
CREATE TABLE mood0 PARTITION OF moods FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE plain PARTITION OF moody FOR VALUES IN (2);
INSERT INTO moody SELECT m, n FROM unnest(enum_range(NULL::mood)) m, generate_series(1, 2) n;
CREATE MATERIALIZED VIEW unread AS SELECT 1 AS n WITH NO DATA;
CREATE TABLE gated AS SELECT 1 AS n; GRANT SELECT ON gated TO viewer;
CREATE INDEX gated_n ON gated (public.gate(n));
"""


@dataclass
class Restores:
    """The scene; what its databases held when they were dumped; and an application beside them."""

    scene: Scene
    app: shop_client.ShopClient
    stamp: str = ""
    dumped: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> PostgresNode:
        """The server."""
        return self.scene.first

    def run(self, **arguments: object) -> Outcome:
        """Restore the component database, or what is asked for."""
        return self.scene.run("component-restore", **{"database": "component", **arguments})

    def restored(self, **arguments: object) -> Outcome:
        """Restore, which must succeed."""
        outcome = self.run(**arguments)
        assert outcome.completed, outcome.said
        return outcome

    def text(self, database: str) -> str:
        """Give a database as pg_dump writes it, with all that belongs to it."""
        lines = self.first.tool("pg_dump", "--create", "-d", database).splitlines()
        told = [line for line in lines if line and not _UNTOLD.search(line)]
        return "\n".join(told)

    def rows(self, database: str = "component") -> str:
        """Tell cheaply what a database holds."""
        return self.scene.fingerprint(database)

    def names(self) -> list[str]:
        """Name what restores have made, moments replaced."""
        return [re.sub(r"[0-9]{14}", "MOMENT", name) for name in self.made()]

    def made(self) -> list[str]:
        """Name what restores have made."""
        sql = "SELECT datname FROM pg_database WHERE datname ~ '_(aside|incoming)_[0-9]{14}$'"
        return sorted(self.first.psql(sql).splitlines())

    def is_open(self, database: str = "component") -> bool:
        """Tell whether a database lets applications in."""
        sql = f"SELECT datallowconn FROM pg_database WHERE datname = '{database}'"
        return self.first.psql(sql) == "t"

    def app_runs(self) -> bool:
        """Tell whether the application runs."""
        done = processes.run(self.app.command("running"), mark=self.app.host.lab, check=False)
        return done.returncode == 0

    def reset(self) -> None:
        """Begin anew with the dumps of before, in databases that were written to since."""
        self.scene.empty()
        self.scene.local = True
        processes.run(["cp", "-a", f"{self.scene.base}/kept/.", self.scene.folder()])
        for name in self.made():
            self.first.psql(f"DROP DATABASE {name} WITH (FORCE)")
        for name in DATABASES:
            self.first.psql(f"ALTER DATABASE {name} RESET pg_runbooks.restored")
        events = "UPDATE events SET text = gen_random_uuid() WHERE id = 1"
        self.first.psql(events, database="auditlog")
        users = "INSERT INTO public.users (name) SELECT gen_random_uuid()"
        self.first.psql(users, database="component")
        self.first.psql("UPDATE items SET value = value + 1", database="zabbix")
        self.app.start()
        gone = f"SELECT count(*) FROM pg_stat_activity WHERE datname IN {DATABASES!r}"
        processes.until(lambda: self.first.psql(gone) == "0", "the last session has ended")

    @contextmanager
    def stubborn(self, database: str) -> Iterator[None]:
        """Come again at once whenever a session ends, as connection pools do."""
        ended = Event()

        def come() -> None:
            while not ended.is_set():
                with (
                    suppress(psycopg.OperationalError),
                    psycopg.connect(self.first.conninfo(database), autocommit=True) as session,
                ):
                    while not ended.is_set():
                        session.execute("SELECT pg_sleep(0.01)")

        thread = Thread(target=come)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextmanager
    def app_frozen(self) -> Iterator[None]:
        """Let the application write nothing for a while."""
        self.app.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.app.send(signal.SIGCONT)

    @contextmanager
    def gate_closed(self) -> Iterator[None]:
        """Let a load of zabbix stand still in its middle."""
        gate = self.first.data_directory / "gate"
        gate.touch()
        try:
            yield
        finally:
            gate.unlink()

    def until_loading(self) -> None:
        """Wait until a load stands still."""
        processes.until(lambda: self.first.psql(LOADING) == "t", "a load stands still")

    def archive(self, database: str = "component") -> Path:
        """Give the path of a dump."""
        return self.scene.archive(database, self.stamp)

    def rewrite(self, **fields: object) -> None:
        """Change the record of the component database's dump."""
        path = self.archive().with_suffix(".json")
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def build(lab: LoopbackLab, name: str) -> Restores:
    """Build the server with an application, and dump everything once."""
    scene = component_scene.build(lab, name, rows=500)
    scene.first.psql("CREATE DATABASE shop")
    scene.first.psql("CREATE ROLE keeper; ALTER TABLE events OWNER TO keeper", database="auditlog")
    scene.first.psql(counting.TABLE, database="shop")
    scene.first.psql(_GATE, database="zabbix")
    app = shop_client.install_client(lab.host(f"{name}app"), scene.first)
    scene.apps = [inventory.application(app)]
    restores = Restores(scene, app)
    restores.dumped = {database: restores.text(database) for database in DATABASES}
    restores.stamp = scene.back_up()
    processes.run(["cp", "-a", scene.folder(), scene.base / "kept"])
    return restores


def loads(outcome: Outcome) -> list[str]:
    """Give the loads that a run has begun."""
    return [line for line in outcome.commands if "pg_restore --exit-on-error" in line]


def way_back(old: str) -> tuple[str, ...]:
    """Give the statements of the page that bring a database back that was set aside."""
    text = PAGE.read_text().partition("## The way back")[2].partition("When the new one")[0]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return _statements(lines, old)


def _statements(lines: list[str], old: str) -> tuple[str, ...]:
    sql = "\n".join(lines).replace("component_aside_<moment>", old)
    before, _, rest = sql.partition("BEGIN;")
    inside, _, after = rest.partition("COMMIT;")
    block = (f"BEGIN;{inside}COMMIT;",) if inside else ()
    return (*before.strip().splitlines(), *block, *after.strip().splitlines())
