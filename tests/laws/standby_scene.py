"""Two servers that know nothing of each other, one to become the other's standby."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runbook.hosts import command
from runbook.standby import copying, secret
from tests.lab import golden, processes, shop
from tests.lab.errors import LabError
from tests.lab.golden import Golden
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.unchanged import Observation
from tests.laws import inventory, restore_scene
from tests.laws.asides import asides
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome, Point

READING = (
    *restore_scene.READING,
    command._PASSFILE,
    secret.FIRST_LINES,
    copying.OWNER,
)
"""The scripts of standby-setup that only look; read them before you add one."""

ROLE = "repuser"

_STREAMS = """
SELECT count(*) FROM pg_stat_replication
WHERE application_name = '{name}' AND state = 'streaming' AND usename = '{role}'
"""


@dataclass
class Scene:
    """A primary with a shop, and a second server with data of its own."""

    lab: LoopbackLab
    primary: PostgresNode
    standby: PostgresNode
    base: Path
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"{self.primary.name}-{self.lab.name}"

    @property
    def live(self) -> Path:
        """The standby's data directory."""
        return self.standby.data_directory

    @property
    def repl(self) -> Path:
        """Where the copy is made."""
        return self.standby.directory / "repl"

    @property
    def slot(self) -> str:
        """The name of the standby's slot on the primary."""
        return f"standby_{self.standby.name}"

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state", self.environment, timeout=150)

    def run(self, **arguments: Any) -> Outcome:
        """Run standby-setup; the second server's own data may be set aside."""
        wanted = {"cluster": self.name, "standby": self.standby.name, "replace": True}
        return self.runner.run("standby-setup", **{**wanted, **arguments})

    def start(self, at: Point | None = None, **arguments: Any) -> Any:
        """Start standby-setup and go on beside it."""
        wanted = {"cluster": self.name, "standby": self.standby.name, "replace": True}
        return self.runner.start("standby-setup", at=at, **{**wanted, **arguments})

    def keep(self) -> None:
        """Keep both servers as they are now, for `reset`."""
        for node in (self.primary, self.standby):
            node.stop()
        self._golden.keep(self._places)
        for node in (self.primary, self.standby):
            node.start()

    def reset(self) -> None:
        """Bring both servers back to what `keep` kept."""
        golden.halt((self.primary.host, self.standby.host), self._places.values())
        self._golden.put_back(self._places)
        shutil.rmtree(self.base / "state", ignore_errors=True)
        self.nodes, self.cluster, self.environment = {}, {}, {}
        for node in (self.primary, self.standby):
            node.start()

    def halt(self) -> None:
        """End both servers and everything at work beside them."""
        golden.halt((self.primary.host, self.standby.host), self._places.values())

    def unchanged(self) -> AbstractContextManager[Observation]:
        """Prove that nothing changes on either server in a block."""
        return self.lab.unchanged(self.primary, self.standby, scripts=READING)

    def streams(self) -> bool:
        """Tell whether the primary streams to the standby, with the replication role."""
        return self.primary.psql(_STREAMS.format(name=self.standby.name, role=ROLE)) == "1"

    def stray(self) -> list[str]:
        """Name what a run that has ended must not have left, three seconds from now."""

        def found() -> list[str]:
            lines = self.primary.psql(
                "SELECT 'walsender ' || application_name FROM pg_stat_replication"
                " WHERE application_name = 'pg-runbooks';"
                "SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE temporary"
            ).splitlines()
            for pid in processes.members(self.lab.name, self.lab.directory):
                try:
                    program = Path(f"/proc/{pid}/comm").read_text().strip()
                except OSError:
                    continue
                lines += [program] if program in ("pg_basebackup", "pg_verifybackup") else []
            return lines

        try:
            processes.until(lambda: not found(), "all have ended", within=60)
        except LabError:
            return found()
        return []

    def aside(self) -> list[Path]:
        """Name the data directories that were set aside."""
        return asides(self.live)

    @property
    def _golden(self) -> Golden:
        return Golden(self.base / "golden")

    @property
    def _places(self) -> dict[str, Path]:
        return {node.name: node.directory for node in (self.primary, self.standby)}

    def _inventory(self) -> dict[str, Any]:
        nodes = (self.primary, self.standby)
        cluster = {
            "nodes": [{**inventory.server(n), **self.nodes.get(n.name, {})} for n in nodes],
            "replication": {"user": ROLE},
            "backups": {"store": "store"},
            **self.cluster,
        }
        return inventory.of_one(self.name, cluster, self.base)


def build(lab: LoopbackLab, primary: str, standby: str, base: Path, *, rows: int = 1000) -> Scene:
    """Make a primary that replicates to nobody and a second installation, and keep both."""
    first = lab.postgres(primary, rows=rows, replication=False)
    second = lab.postgres(standby, replication=False)
    second.psql("CREATE DATABASE own")
    second.psql("CREATE TABLE held_alone AS SELECT generate_series(1, 7) AS n", database="own")
    scene = Scene(lab, first, second, base)
    scene.keep()
    return scene


def assert_follows(scene: Scene, *, asides: int = 1) -> None:
    """Judge from outside that the standby is one, follows, refuses writes, and nothing is left."""
    standby, primary = scene.standby, scene.primary
    assert standby.psql("SELECT pg_is_in_recovery()") == "t"
    assert primary.psql("SELECT pg_is_in_recovery()") == "f"
    processes.until(scene.streams, "the primary streams", within=60)
    found = primary.psql(
        "SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE NOT temporary"
    )
    assert found == f"{scene.slot}|t|reserved"
    token = f"seen_{primary.psql('SELECT pg_current_xact_id()')}"
    primary.psql(f"CREATE TABLE {token} AS SELECT 'here' AS word", database=shop.DATABASE)
    there = f"SELECT count(*) FROM pg_class WHERE relname = '{token}'"
    processes.until(
        lambda: standby.psql(there, database=shop.DATABASE) == "1", "the row is there", within=60
    )
    assert shop.fingerprint(standby) == shop.fingerprint(primary)
    with pytest.raises(LabError, match="read-only transaction"):
        standby.psql("CREATE TABLE refused ()")
    left = [path.name for path in standby.directory.iterdir()]
    assert not [name for name in left if name.startswith("repl")], left
    assert len(scene.aside()) == asides
    proof = "SELECT count(*) FROM pg_class WHERE relname LIKE 'pg_runbooks%'"
    assert primary.psql(proof) == "0"
