"""A server whose databases are to be dumped, and the page's own commands, which judge the dumps."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import inventory
from tests.laws.backup_scene import busy, make_store
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

GUID = "de2fe9e4-6535-423d-8709-dca87df7985c"
KEY = "NYHD8MVmA55HEqoaYHpQaxfwEMcQ1wkI"

FOREIGN = (f"{GUID}-1500000000-0", f"{GUID}0-1600000000000.json", f"{GUID}-17-0000")
"""What others are just uploading, or have under a name that begins like ours."""

_CONTENT = """
CREATE ROLE "o'brien; --" LOGIN PASSWORD 'hidden-in-the-dump';
CREATE DATABASE "Ünï cödé" OWNER "o'brien; --";
CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
"""
_ODD = r"""
CREATE TABLE "we;ird" ("a\b" int, t text);
INSERT INTO "we;ird" VALUES (1, E'\\.'), (2, E'\n\\.\n'), (3, NULL), (4, E'tab\there');
CREATE FUNCTION says() RETURNS text LANGUAGE sql AS $$ SELECT E'\nCOPY x FROM stdin;\n\\.\n' $$;
"""


@dataclass
class Scene:
    """One instance, its settings, and the folder that its dumps go to."""

    node: PostgresNode
    base: Path
    logical: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=lambda: {"current": KEY})
    store: dict[str, Any] = field(default_factory=dict)
    """Settings of another store than the folder."""
    bin_directory: str = ""

    @property
    def name(self) -> str:
        """Name the cluster: no other of the lab has it."""
        return f"ledger-{self.node.name}"

    @property
    def folder(self) -> Path:
        """The folder that the dumps lie in."""
        return self.base / "store"

    def run(self, procedure: str = "logical-backup", **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, **{"cluster": self.name, **arguments})

    def back_up(self) -> str:
        """Take a backup that must succeed; give its id."""
        before = set(self.ids)
        outcome = self.run()
        assert outcome.completed, outcome.said
        (made,) = set(self.ids) - before
        return made

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        secrets = {f"KEY_{label.upper()}": value for label, value in self.keys.items()}
        cluster = {
            "nodes": [self._server()],
            "backups": {"store": "store"},
            "logical": {"store": "store", "guid": GUID, "part_bytes": 65536, **self.logical},
            "encryption_keys": {label: {"env": f"KEY_{label.upper()}"} for label in self.keys},
        }
        settings = {"location": {"kind": "folder", "path": str(self.folder)}, **self.store}
        tree = {"stores": {"store": settings}, "clusters": {self.name: cluster}}
        path = inventory.write(self.base, tree)
        return Runner(path, self.base / "state", {**secrets, "STORE_SECRET": "lab-secret"})

    @property
    def files(self) -> list[str]:
        """Name every file of the folder."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    @property
    def ids(self) -> list[str]:
        """Name what counts as a backup."""
        return [name.removesuffix(".json") for name in self.files if name.endswith(".json")]

    def record(self, backup: str) -> dict[str, Any]:
        """Read the record of a backup."""
        found = json.loads((self.folder / f"{backup}.json").read_text())
        assert isinstance(found, dict)
        return found

    def empty(self) -> None:
        """Begin anew: an empty store and no history, settings as at first."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.base / "state", ignore_errors=True)
        make_store(self.base)
        self.logical, self.store, self.keys = {}, {}, {"current": KEY}
        self.bin_directory = ""

    @property
    def traces(self) -> list[str]:
        """Name what a run that has ended must not have left on the host or in PostgreSQL."""
        sessions = self.node.psql(
            "SELECT 'session ' || application_name FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND application_name <> 'the lock of a test'"
        )
        left = sessions.splitlines()
        return left + busy("pg_dump", str(self.node.socket_directory))

    def settled(self) -> None:
        """Insist that nothing of a run is left."""
        processes.until(lambda: not self.traces, f"nothing is left: {self.traces}", within=60)

    def plain(self) -> str:
        """Dump the server as it is, without what differs from call to call."""
        return comparable(self.node.tool("pg_dumpall"))

    def _server(self) -> dict[str, Any]:
        bin_directory = {"bin_directory": self.bin_directory} if self.bin_directory else {}
        return {**inventory.server(self.node), **bin_directory}


def build(lab: LoopbackLab, name: str) -> Scene:
    """Make an instance with a shop, odd names, three encodings' worth of text, large objects."""
    node = lab.postgres(name, rows=4000)
    for statement in _CONTENT.strip().splitlines():
        node.psql(statement)
    node.psql(_ODD, database="Ünï cödé")
    node.psql("CREATE TABLE t AS SELECT 'Grüße'::text AS t", database="latin")
    base = lab.directory / f"{name}-base"
    make_store(base)
    return Scene(node, base)


def by_the_page(folder: Path, backup: str, key: str = KEY, *, azure: bool = False) -> Path:
    """Decrypt and inflate exactly as the page says; give the dump."""
    target = folder.parent / f"{backup}.dump"
    parts = backup if azure else f"$(ls -1v {backup}-*)"
    line = (
        f"cat {parts} | openssl enc -aes256 -md md5 -d -pass 'pass:{key}' | gunzip -c "
        f"> {shlex.quote(str(target))}"
    )
    bash = ["bash", "-o", "pipefail", "-c", line]
    done = subprocess.run(bash, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def comparable(dump: str) -> str:
    """Leave out of a dump what is another in each: the tokens of psql's restricted mode."""
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


def loaded(fresh: PostgresNode, dump: Path) -> None:
    """Load a dump exactly as the page says."""
    with dump.open() as source:
        argv = [str(fresh.bin_directory / "psql"), "--quiet", "postgres"]
        where = {"PGHOST": str(fresh.socket_directory), "PGPORT": str(fresh.port)}
        done = subprocess.run(
            argv,
            stdin=source,
            env=processes.environment("postgres", "", where),
            user="postgres",
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert [line.partition("ERROR:")[2].strip() for line in errors] == [
        'role "postgres" already exists'
    ]


def counted(rows: Mapping[str, Mapping[str, int]]) -> Sequence[tuple[str, str, int]]:
    """Give the rows of a record, sorted."""
    return sorted((db, table, n) for db, tables in rows.items() for table, n in tables.items())
