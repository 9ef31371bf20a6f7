"""A repmgr pair with a logical backup made by the page's own commands, and damaged since then."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from flows.logical import logical_recovery
from tasks import logical_lineup as lineup
from tasks import logical_outage as outage
from tests.lab import judge, processes, shop
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import inventory, replication_scene
from tests.laws.outcome import Outcome, Point
from tests.laws.replication_scene import Scene

GUID = "de2fe9e4-6535-423d-8709-dca87df7985c"
KEY = "NYHD8MVmA55HEqoaYHpQaxfwEMcQ1wkI"
STAMP = 1740130000
PART = 1 << 14
"""Bytes of a part: the page has 1 GB."""

_MOVES = re.compile(r"::(?:text|character varying)(?:\[\])?|[()]")

ASIDE = ("ledger", "postgres", "repmgr", "shop")
"""What stood there before, and stands aside after a recovery."""

READING = (outage._LIST, lineup._LOOKUP)
"""The scripts of the runbook that only look; read them before you add one."""

_MORE = """
CREATE ROLE teller LOGIN PASSWORD 'of the day of the backup';
CREATE DATABASE ledger OWNER teller;
ALTER DATABASE ledger SET work_mem = '5MB';
ALTER DATABASE ledger CONNECTION LIMIT 40;
CREATE TABLE notes (id int, said text);
CREATE ROLE reader; GRANT reader TO teller;
ALTER ROLE teller SET work_mem = '7MB';
INSERT INTO notes SELECT n, md5(n::text) FROM generate_series(1, 20) n;
CREATE TABLE parts (n int) PARTITION BY HASH (n);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO parts SELECT generate_series(1, 30);
"""
_LEDGER = """
CREATE SCHEMA books AUTHORIZATION teller;
CREATE TABLE books.entries (id bigserial PRIMARY KEY, cents int NOT NULL, told text);
ALTER TABLE books.entries OWNER TO teller;
GRANT SELECT ON books.entries TO PUBLIC;
CREATE VIEW books.small AS SELECT id FROM books.entries WHERE told IN ('a', 'b') AND cents < 9;
CREATE TABLE books.kinds (kind varchar(3) CHECK (kind IN ('in', 'out')));
COMMENT ON TABLE books.kinds IS 'which way :: (it went)';
ALTER DEFAULT PRIVILEGES IN SCHEMA books GRANT SELECT ON TABLES TO reader;
SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex'));
INSERT INTO books.entries (cents, told)
    SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 3000) n;
"""
_DAMAGE = """
DELETE FROM orders WHERE id % 3 = 0;
INSERT INTO customers (name) SELECT 'later ' || n FROM generate_series(1, 50) n;
"""
LATER = '"later.On"'
"""A database that is in no backup, with something in it that no dump may bring."""

_FACTS = """
SELECT count(*), sum(cents), md5(string_agg(told, '' ORDER BY id)) FROM books.entries;
SELECT last_value FROM books.entries_id_seq;
SELECT relowner::regrole, relacl FROM pg_class WHERE relname = 'entries';
SELECT setconfig FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase
WHERE datname = 'ledger';
"""


@dataclass
class Recoverable(Scene):
    """The scene, its backup's id, and what was there when it was made."""

    id: str = ""
    sql: bytes = b""
    ledger: str = ""
    login: str = "root"
    location: dict[str, Any] = field(default_factory=dict)
    """The store instead of the folder."""
    recovery: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the logical backups in the store."""
        return self.base / "store" / "logical"

    def _inventory(self) -> dict[str, Any]:
        """Add what the settings say of logical backups; root may use nft on the hosts."""
        self.cluster_settings["logical"] = {
            "store": "store",
            "folder": "logical",
            "guid": GUID,
            "recovery": {"block_port": self.login == "root", **self.recovery},
        }
        self.cluster_settings["encryption_keys"] = {"current": {"file": str(self.base / "key")}}
        found = super()._inventory()
        for node, said in zip(self.nodes, found["clusters"][self.name]["nodes"], strict=True):
            said["host"] = inventory.host(node.host, self.login)
        if self.location:
            found["stores"]["store"] = self.location
        return found


def build(lab: LoopbackLab, *names: str, base: Path) -> Recoverable:
    """Make a cluster, dump it as the page's commands do, and damage it."""
    plain = replication_scene.build(lab, *names, base=base)
    given = {each.name: getattr(plain, each.name) for each in fields(Scene)}
    scene = Recoverable(**given)
    (base / "key").write_text(KEY)
    for app in scene.apps:
        app.stop()
    scene.primary.psql(_MORE)
    scene.primary.psql(_LEDGER, database="ledger")
    scene.fingerprints = shop.fingerprint(scene.primary)
    scene.ledger = facts(scene.primary)
    scene.sql = dumped(scene.primary)
    scene.id = store(scene, STAMP, scene.sql)
    scene.primary.psql(_DAMAGE, database="shop")
    scene.primary.psql("DROP TABLE books.entries CASCADE", database="ledger")
    scene.primary.psql("ALTER ROLE teller NOLOGIN; INSERT INTO notes VALUES (99, 'later')")
    scene.primary.psql(f"CREATE DATABASE {LATER}")
    language = "CREATE LANGUAGE mine HANDLER plpgsql_call_handler"
    scene.primary.psql(language, database=LATER.strip('"'))
    scene.keep()
    return scene


def dumped(node: PostgresNode) -> bytes:
    """Dump all of a server, but what is in no backup."""
    options = (f"--exclude-database={LATER}", "--load-via-partition-root")
    return node.tool("pg_dumpall", *options).encode()


def store(
    scene: Recoverable, stamp: int, sql: bytes, *, key: str = KEY, record: bool = True
) -> str:
    """Put a dump into the scene's store and give its id."""
    return put(scene.folder, stamp, sql, key=key, record=record)


def put(folder: Path, stamp: int, sql: bytes, *, key: str = KEY, record: bool = True) -> str:
    """Put a dump into a folder by the page's tools: gzip, openssl, split; give its id."""
    name = f"{GUID}-{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
    argv = "gzip -c | openssl enc -aes256 -md md5 -pass env:KEY 2>/dev/null | split -d -a 1 -b"
    script = f'{argv} {PART} - "$1"'
    words = ["sh", "-c", script, "store", f"{folder}/{name}-"]
    processes.run(words, stdin=sql.decode(), env={"KEY": key})
    if record:
        (folder / f"{name}.json").write_text(json.dumps({"backup_agent": "a9s"}))
    return name


def forget(scene: Recoverable, name: str) -> None:
    """Remove a backup from the store."""
    for path in scene.folder.glob(f"{name}*"):
        path.unlink()


def facts(node: PostgresNode) -> str:
    """Give rows, sequence, owner, grants and settings of the database ledger."""
    return node.psql(_FACTS, database="ledger")


def recover(scene: Recoverable, *, at: Point | None = None, **arguments: Any) -> Outcome:
    """Run logical-recovery."""
    return scene.run("logical-recovery", at=at, **{"backup": scene.id, **arguments})


def assert_recovered(scene: Recoverable, *, aside: Sequence[str] = ASIDE) -> None:
    """Judge from outside that both nodes hold what the backup holds, once, and follow."""
    primary, *standbys = scene.nodes
    assert judge.writable(scene.nodes) == (primary.name,)
    assert set(judge.streaming(primary, scene.nodes)) == {node.name for node in standbys}
    for node in scene.nodes:
        assert shop.fingerprint(node) == scene.fingerprints, node.name
        assert facts(node) == scene.ledger
        assert node.psql("SELECT count(*), max(id) FROM notes") == "20|20"
    assert primary.psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'teller'") == "t"
    shown = judge.cluster_show(scene.cluster, primary)
    assert shown == {1: (0, 0), **{number + 2: (0, 1) for number in range(len(standbys))}}
    assert scene.cluster.repmgr(primary, "cluster", "show", check=False).returncode == 0
    now, then = lines(dumped(primary)), lines(scene.sql)
    assert (now - then, then - now) == (Counter(), Counter())
    slots = {slot.name: slot.active for slot in judge.slots(primary).values()}
    assert slots == {f"repmgr_slot_{number + 2}": True for number in range(len(standbys))}
    assert primary.psql("SELECT count(*) FROM repmgr.voting_term", database="repmgr") == "1"
    assert asides(primary) == list(aside)
    assert not blocked(scene)


def lines(sql: bytes) -> Counter[str]:
    """Give the lines of a dump with their databases, but what repmgr and the application write.

    PostgreSQL writes some casts and parentheses anew when it loads them.
    """
    found, database, copying = Counter[str](), "", False
    for line in sql.decode().splitlines():
        if line.startswith("\\connect "):
            database = line.split()[1]
        copying = line.startswith("COPY public.counted_rows ") or (copying and line != "\\.")
        if not copying and database != "repmgr" and "restrict" not in line:
            found[f"{database}: {_MOVES.sub('', line)}"] += 1
    return found


def asides(node: PostgresNode) -> list[str]:
    """Name the databases that stand aside, without the moment; none has any other odd name."""
    names = node.psql("SELECT datname FROM pg_database ORDER BY 1").splitlines()
    plain = {LATER.strip('"'), "ledger", "postgres", "repmgr", "shop", "template0", "template1"}
    odd = sorted(set(names) - plain)
    assert all("_aside_" in name for name in odd), names
    return [name.partition("_aside_")[0] for name in odd]


def limits(node: PostgresNode) -> dict[str, str]:
    """Give how many sessions each database of the backup lets in."""
    sql = "SELECT datname, datconnlimit FROM pg_database WHERE datname = ANY ('{%s}')"
    rows = node.psql(sql % ",".join(ASIDE)).splitlines()
    return dict(row.split("|") for row in rows)


def by_hand(section: str) -> list[tuple[str, str]]:
    """Give database and statement of each psql line in a section of the runbook's page."""
    page = Path(logical_recovery.__file__).with_suffix(".md").read_text()
    text = page.split(f"## {section}\n")[1].split("\n## ")[0]
    assert "    export PGOPTIONS='-c synchronous_commit=local'\n" in text
    return re.findall(r"^    psql (\w+) -c '(.*)'$", text, re.MULTILINE)


def blocked(scene: Recoverable) -> bool:
    """Tell whether anything of ours is in the packet filter."""
    tables = processes.run(["nft", "list", "tables"]).stdout
    return any(f"pg_runbooks_{node.name}_" in tables for node in scene.nodes)


def rules(node: PostgresNode) -> str:
    """Give what the packet filter has of ours for a node."""
    table = ("inet", f"pg_runbooks_{node.name}_{node.port}")
    return processes.run(["nft", "list", "table", *table]).stdout


def unblock(scene: Recoverable) -> None:
    """Remove what a killed run has left in the packet filter."""
    for line in processes.run(["nft", "list", "tables"]).stdout.splitlines():
        table = line.split()[-1]
        if any(table.startswith(f"pg_runbooks_{node.name}_") for node in scene.nodes):
            processes.run(["nft", "delete", "table", "inet", table])


def loads(outcomes: Sequence[Outcome]) -> int:
    """Count how often a dump was loaded."""
    done = [command for outcome in outcomes for command in outcome.commands]
    return len([line for line in done if line.startswith("psql --quiet postgres <")])


def rows(node: PostgresNode) -> int:
    """Count what the application has written."""
    return int(node.psql("SELECT count(*) FROM counted_rows", database="shop"))
