"""An Orchestrator on the loopback lab: its database, its program, its configuration, a store."""

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

from tests.lab import orchestrator, processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import inventory
from tests.laws.backup_scene import busy, give_to_postgres
from tests.laws.component_scene import READING
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

SECRET = "not-to-be-shown-4711"
SCRIPTS = READING
"""The scripts that only look."""


@dataclass
class Scene:
    """The Orchestrator; `base` holds its store, `home` is its user's."""

    lab: LoopbackLab
    node: PostgresNode
    base: Path
    home: Path
    programs: dict[str, Path]
    orchestrator: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"{self.node.name}-{self.lab.name}"

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state", timeout=120, log=self.base / "told")

    def run(self, procedure: str = "orchestrator-backup", **arguments: Any) -> Outcome:
        """Run a procedure on the Orchestrator."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def back_up(self, **arguments: Any) -> str:
        """Take a backup, which must succeed; give its id."""
        outcome = self.run(**arguments)
        assert outcome.completed, outcome.said
        return self.ids()[-1]

    @property
    def vault(self) -> Path:
        """Give the folder of the backups in the store."""
        return self.base / "store" / self.name / "orchestrator"

    @property
    def work(self) -> Path:
        """Give the folder on the Orchestrator where archives are made."""
        return self.home / "work"

    @property
    def config(self) -> Path:
        """Give the cluster configuration file."""
        return self.home / "cluster.conf"

    def ids(self) -> list[str]:
        """Name the backups that have their record."""
        return sorted(path.parent.name for path in self.vault.glob("*/orchestrator.json"))

    def record(self, made: str) -> dict[str, Any]:
        """Read the record of a backup."""
        found = json.loads((self.vault / made / "orchestrator.json").read_text())
        assert isinstance(found, dict)
        return found

    def archive(self, made: str) -> Path:
        """Give the path of a stored archive."""
        (found,) = (self.vault / made).glob("*.tgz")
        return found

    def files(self) -> list[str]:
        """Name every file of the store and of the folder on the Orchestrator."""
        found = [path for top in (self.vault, self.work) for path in top.rglob("*")]
        return sorted(str(path.relative_to(self.base)) for path in found if path.is_file())

    def unfinished(self) -> list[str]:
        """Name every file that is no whole backup's."""
        whole = {f"/orchestrator/{made}/" for made in self.ids()}
        own = (".tgz", "/orchestrator.json")
        return [
            name
            for name in self.files()
            if not (name.endswith(own) and any(part in name for part in whole))
        ]

    def empty(self) -> None:
        """Begin anew: default settings, no backups, no history."""
        self.orchestrator = {}
        for path in (self.base / "store", self.base / "state", self.work):
            shutil.rmtree(path, ignore_errors=True)
        (self.base / "told").unlink(missing_ok=True)
        (self.base / "store").mkdir()
        orchestrator.configure(self.config, access=SECRET, secret=SECRET)
        give_to_postgres(self.home)

    def behaves(self, script: str) -> None:
        """Let a program stand for orchestrator-cli; in its script $real is the true one."""
        path = self.home / "faulty"
        text = f"#!/bin/sh\nreal={self.programs['p']}\n{script}\n"
        self.orchestrator = {"program": str(orchestrator.executable(path, text))}

    def settled(self) -> None:
        """Insist that nothing of a run is left running."""
        words = ("pg_dump", "orchestrator-cli", "pg_restore", "faulty")
        running = lambda: [line for word in words for line in busy(self.home, word)]  # noqa: E731
        processes.until(lambda: not running(), "nothing of a run is left running")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a table, so that a dump of it waits, as a deploy may."""
        with psycopg.connect(self.node.conninfo(orchestrator.DATABASE)) as session:
            session.execute("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE")
            yield

    def until_dumping(self) -> None:
        """Wait until a dump waits for a table."""
        waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        processes.until(lambda: self.node.psql(waiting) == "t", "a dump waits for a lock")

    def _inventory(self) -> dict[str, Any]:
        cluster = {
            "nodes": [inventory.server(self.node)],
            "backups": {"store": "store"},
            "orchestrator": {
                "store": "store",
                "program": str(self.programs["p"]),
                "user": "postgres",
                "config": str(self.config),
                "directory": str(self.work),
                **self.orchestrator,
            },
        }
        made = inventory.of_one(self.name, cluster, self.base)
        node = {"location": {"kind": "node-folder", "path": str(self.home / "shelf")}}
        return {**made, "stores": {**made["stores"], "node": node}}


def build(lab: LoopbackLab, name: str) -> Scene:
    """Make an Orchestrator."""
    node = lab.postgres(name, hba=orchestrator.HBA)
    orchestrator.fill(node)
    base = lab.directory / f"{name}-base"
    home = base / "home"
    home.mkdir(mode=0o755, parents=True)
    base.chmod(0o755)
    programs = {form: orchestrator.install(node, home, form=form) for form in ("p", "c")}
    scene = Scene(lab, node, base, home, programs)
    scene.empty()
    return scene


def restored_by_hand(scene: Scene, made: str, database: str) -> None:
    """Unpack a stored archive and load its dump, as the page says, into an empty database."""
    record, into = scene.record(made), scene.base / "unpacked"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o755)
    processes.run(["tar", "-xzf", scene.archive(made), "-C", into])
    give_to_postgres(into)
    scene.node.psql(f"CREATE DATABASE {database}")
    dump = into / record["dump"]
    if dump.read_bytes().startswith(b"PGDMP"):
        scene.node.tool("pg_restore", "--exit-on-error", "-d", database, dump)
    else:
        stopping = ("-X", "-q", "-1", "-v", "ON_ERROR_STOP=1")
        scene.node.tool("psql", *stopping, "-d", database, "-f", dump)


def programs_of(command: str) -> str:
    """Give the first word of a command that a run sent."""
    return shlex.split(command)[0] if command else ""
