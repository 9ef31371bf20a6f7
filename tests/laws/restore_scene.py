"""A shop on the loopback lab with a backup in its store, ready to be damaged and restored."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook import host_lock
from runbook.hosts.host import READ
from runbook.postgres import node
from runbook.restore import kept, outage, place, survey
from tests.lab import processes, shop
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.unchanged import Observation
from tests.laws import inventory
from tests.laws.asides import asides
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

READING = (
    place._DESCRIBE,
    place._KEPT,
    READ,
    survey._OWN,
    survey._OTHERS,
    node._AT_WORK,
    node._LOCK,
    host_lock._HOLD,
    outage._READ,
    kept._LINKS,
    kept._SIZE,
)
"""The scripts of a restore that only look; read them before you add one."""

ROWS = 2000


@dataclass
class Scene:
    """One instance, its inventory, its store, and what it looked like when it was backed up."""

    lab: LoopbackLab
    node: PostgresNode
    base: Path
    local: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    backup: str = ""
    fingerprint: str = ""
    _golden: Path | None = None

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"{self.node.name}-{self.lab.name}"

    @property
    def store(self) -> Path:
        """The directory that the backups of the cluster lie in."""
        return self.base / "store" / self.name

    @property
    def live(self) -> Path:
        """The data directory."""
        return self.node.data_directory

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state")

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def restore(self, **arguments: Any) -> Outcome:
        """Run instance-restore."""
        return self.run("instance-restore", **{"backup": self.backup, **arguments})

    def back_up(self) -> str:
        """Take a backup with the runbook, keep its id and what the shop held."""
        self.fingerprint = shop.fingerprint(self.node)
        outcome = self.run("base-backup")
        assert outcome.completed, outcome.said
        self.backup = max(path.name for path in self.store.iterdir() if path.is_dir())
        return self.backup

    def damage(self) -> str:
        """Write on, then lose a table; give the fingerprint of what is left."""
        self.node.psql(
            "INSERT INTO customers (name) SELECT 'later ' || n FROM generate_series(1, 50) n;"
            "DELETE FROM orders WHERE id % 3 = 0; CREATE TABLE IF NOT EXISTS later (x int)",
            database="shop",
        )
        return shop.fingerprint(self.node)

    def keep(self) -> None:
        """Keep a copy of the stopped instance, for `reset`."""
        self.node.stop()
        self._golden = self.base / "golden"
        processes.run(["cp", "-a", self.node.directory, self._golden])
        self.node.start()

    def reset(self) -> None:
        """Bring the instance back to what `keep` kept."""
        assert self._golden is not None
        self.node.stop("immediate")
        for path in self.node.directory.iterdir():
            processes.run(["rm", "-rf", path])
        processes.run(["cp", "-a", f"{self._golden}/.", self.node.directory])
        shutil.rmtree(self.base / "state", ignore_errors=True)
        self.node.start()

    def unchanged(self) -> AbstractContextManager[Observation]:
        """Prove that nothing changes on the node in a block."""
        return self.lab.unchanged(self.node, scripts=READING)

    def leftovers(self) -> list[str]:
        """Name everything that a restore has left beside or inside the living data."""
        places = (self.node.directory, self.live, self.live / "pg_wal")
        spaces = tuple(self.node.tablespaces.values())
        found = [path for place in (*places, *spaces) if place.is_dir() for path in place.iterdir()]
        return sorted(str(p) for p in found if ".incoming-" in p.name or "_incoming-" in p.name)

    def stray(self) -> list[str]:
        """Name the processes of a restore that still run on the node, three seconds from now."""
        mark = str(self.node.directory)

        def found() -> list[str]:
            lines = []
            for pid in processes.members(self.lab.name, self.lab.directory):
                try:
                    raw = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                line = raw.replace(b"\0", b" ").decode(errors="replace")
                is_ours = mark in line and ("incoming" in line or "aside" in line)
                lines += [line] if is_ours else []
            return lines

        try:
            processes.until(lambda: not found(), "all have ended", within=60)
        except LabError:
            return found()
        return []

    def aside(self) -> list[Path]:
        """Name the data directories that were set aside."""
        return asides(self.live)

    def _inventory(self) -> dict[str, Any]:
        server = inventory.server(self.node)
        if self.local:
            server["host"] = {"name": self.node.name, "way": {"kind": "local"}}
        cluster = {
            "nodes": [{**server, **self.settings}],
            "replication": {"method": "trust"},
            "backups": {"store": "store"},
            **self.cluster,
        }
        return inventory.of_one(self.name, cluster, self.base)


def build(
    lab: LoopbackLab,
    name: str,
    base: Path,
    *,
    tablespaces: Sequence[str] = ("cold",),
    settings: Mapping[str, str] | None = None,
    local: bool = False,
    rows: int = ROWS,
) -> Scene:
    """Make an instance with a shop, back it up, damage it, and keep that state for `reset`."""
    server = lab.postgres(
        name, rows=rows, tablespaces=tablespaces, authentication="trust", settings=settings
    )
    scene = Scene(lab, server, base, local=local)
    scene.back_up()
    scene.damage()
    scene.keep()
    return scene


def move_into(scene: Scene, target: Path) -> None:
    """Stop the server and mount a file system with its data at the data directory."""
    scene.node.stop()
    staged = scene.node.directory / "staged"
    scene.live.rename(staged)
    scene.live.mkdir(mode=0o700)
    if target.name == "tmpfs":
        processes.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "lab", scene.live])
    else:
        target.mkdir(mode=0o700)
        shutil.chown(target, "postgres", "postgres")
        processes.run(["mount", "--bind", target, scene.live])
    shutil.chown(scene.live, "postgres", "postgres")
    processes.run(["cp", "-a", f"{staged}/.", scene.live])
    shutil.rmtree(staged)
    scene.node.start()


def servers_on(directory: Path) -> list[int]:
    """List the postmasters that work in a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            same = (entry / "cwd").readlink() == directory
            if same and (entry / "comm").read_text().strip() == "postgres":
                found.append((int(entry.name), parent))
        except OSError:
            continue
    pids = {pid for pid, _ in found}
    return [pid for pid, parent in found if parent not in pids]


def assert_restored(scene: Scene, *, asides: int = 1) -> None:
    """Judge from outside that the shop is that of the backup, whole, once, and in service."""
    assert shop.fingerprint(scene.node) == scene.fingerprint
    assert scene.node.psql("SELECT pg_is_in_recovery()") == "f"
    assert len(servers_on(scene.live)) == 1
    assert scene.node.tool("pg_dumpall").count("COPY public.orders") == 1
    assert scene.leftovers() == []
    kept = scene.aside()
    assert len(kept) == asides
    assert all((path / "global/pg_control").exists() for path in kept)
    assert not (scene.live.parent / "main.stopped").exists()
    assert not (scene.live / "recovery.signal").exists()
