"""A shop on the loopback lab that is to be backed up, and how one looks at what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.lab import postgres, processes, shop
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import BIN_DIRECTORY, PASSWORD, PostgresNode
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

CLUSTER = "shop"
LOOPBACK_HBA = (
    "# rules of the test",
    "local all all peer",
    "host all all 127.0.0.0/8 scram-sha-256",
    "host replication all 127.0.0.1/32 scram-sha-256",
)


@dataclass
class Scene:
    """A cluster, its inventory and its store; the settings may be changed between runs."""

    nodes: tuple[PostgresNode, ...]
    base: Path
    local: bool = False
    on_node: bool = False
    one_host: bool = False
    password: str = PASSWORD
    node: dict[str, Any] = field(default_factory=dict)
    replication: dict[str, Any] = field(default_factory=dict)
    backups: dict[str, Any] = field(default_factory=dict)
    way: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> PostgresNode:
        """The node of a single instance, or the first of several."""
        return self.nodes[0]

    @property
    def store(self) -> Path:
        """The directory that the cluster's backups lie in."""
        return self.base / "store" / CLUSTER

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state", {"SHOP_PASSWORD": self.password}, timeout=120)

    def run(self, procedure: str = "base-backup", **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, **{"cluster": CLUSTER, **arguments})

    def back_up(self, **arguments: Any) -> str:
        """Take a backup that must succeed; give its id."""
        before = set(self.ids)
        outcome = self.run("base-backup", **arguments)
        assert outcome.completed, outcome.said
        (made,) = set(self.ids) - before
        return made

    @property
    def ids(self) -> list[str]:
        """Name what counts as a backup."""
        return sorted(path.parent.name for path in self.store.glob("backup_*/backup.json"))

    @property
    def files(self) -> list[str]:
        """Name every file of the store."""
        return sorted(str(p.relative_to(self.store)) for p in self.store.rglob("*") if p.is_file())

    def record(self, backup: str) -> dict[str, Any]:
        """Read the record of a backup."""
        found = json.loads((self.store / backup / "backup.json").read_text())
        assert isinstance(found, dict)
        return found

    def empty(self) -> None:
        """Begin anew: an empty store and no history."""
        shutil.rmtree(self.base / "store", ignore_errors=True)
        shutil.rmtree(self.base / "state", ignore_errors=True)
        make_store(self.base)

    def traces(self, node: PostgresNode | None = None) -> list[str]:
        """Name all that a run that has ended must not have left: walsenders, slots, processes."""
        server = node or self.first
        found = server.psql(
            "SELECT 'walsender ' || application_name || ' ' || state FROM pg_stat_replication"
            " WHERE application_name !~ '^(db|repmgr)';"
            "SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE temporary;"
        ).splitlines()
        return found + [f"process {line}" for line in busy(self.base, "pg_basebackup", "mktemp")]

    def _inventory(self) -> dict[str, Any]:
        cluster = {
            "nodes": [self._node(node) for node in self.nodes],
            "replication": self.replication,
            "backups": {"store": "store", **self.backups},
        }
        if self.password:
            cluster["replication_password"] = {"env": "SHOP_PASSWORD"}
        kind = "node-folder" if self.on_node else "folder"
        location = {"kind": kind, "path": str(self.base / "store")}
        return {"stores": {"store": {"location": location}}, "clusters": {CLUSTER: cluster}}

    def _node(self, node: PostgresNode) -> dict[str, Any]:
        # The hosts of the lab are one machine, and a run locks each machine once.
        host = self.first.host if self.one_host else node.host
        way = {"kind": "local"} if self.local else {**host.way("postgres"), **self.way}
        return {
            "name": node.name,
            "host": {"name": host.name, "way": way},
            "address": node.host.address,
            "port": node.port,
            "bin_directory": str(BIN_DIRECTORY),
            "socket_directory": str(node.socket_directory),
            **self.node,
        }


def make_store(base: Path) -> None:
    """Make the folder of the store, which the servers' user may use, too."""
    for path in (base, base / "store"):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    give_to_postgres(base / "store")


def give_to_postgres(path: Path) -> None:
    """Let the servers' user own a tree."""
    processes.run(["chown", "-R", "postgres:postgres", path])


def build(
    lab: LoopbackLab,
    name: str,
    *,
    rows: int = 2000,
    tablespaces: Sequence[str] = ("cold",),
    hba: Sequence[str] = LOOPBACK_HBA,
    settings: dict[str, str] | None = None,
) -> Scene:
    """Make an instance with a shop and an empty store."""
    node = lab.postgres(name, rows=rows, tablespaces=tablespaces, hba=hba, settings=settings)
    base = lab.directory / f"{name}-base"
    make_store(base)
    return Scene((node,), base)


def busy(*words: str | Path) -> list[str]:
    """Give the command lines of processes that name all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and all(str(word) in line for word in words):
            found.append(line)
    return found


@contextmanager
def restored_by_hand(scene: Scene, backup: str) -> Iterator[PostgresNode]:
    """Unpack a backup as the pages say, verify it with PostgreSQL's own tool, and start it."""
    source, home = scene.store / backup, scene.base / "by-hand"
    data = home / "main"
    data.mkdir(parents=True, mode=0o700)
    (home / "run").mkdir()
    _unpack(source / _archive(source, "base"), data)
    for line in _map(data):
        oid, _ = line.split(" ", 1)
        space = home / oid
        space.mkdir(mode=0o700)
        _unpack(source / _archive(source, oid), space)
        (data / "pg_tblspc" / oid).symlink_to(space)
    if list(source.glob("pg_wal.tar*")):
        _unpack(source / _archive(source, "pg_wal"), data / "pg_wal")
    shutil.copy(source / "backup_manifest", data)
    processes.run(["chown", "-R", "postgres:postgres", home])
    processes.run([BIN_DIRECTORY / "pg_verifybackup", data], user="postgres")
    (data / "backup_manifest").unlink()
    (data / "tablespace_map").write_text("")
    node = PostgresNode(scene.first.host, home, port=5444)
    options = f"-k {home}/run -p 5444 -c listen_addresses= -c logging_collector=off"
    pg_ctl = [BIN_DIRECTORY / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", home / "log"]
    mark = scene.first.host.lab
    processes.run([*pg_ctl, "-o", options, "start"], user="postgres", mark=mark)
    try:
        yield node
    finally:
        processes.run([*pg_ctl, "-m", "immediate", "stop"], user="postgres", mark=mark)
        shutil.rmtree(home)


def fingerprint(node: PostgresNode) -> str:
    """Give what the shop holds."""
    return shop.fingerprint(node)


def _archive(source: Path, name: str) -> str:
    (found,) = source.glob(f"{name}.tar*")
    return found.name


def _map(data: Path) -> list[str]:
    path = data / "tablespace_map"
    return path.read_text().splitlines() if path.exists() else []


def _unpack(archive: Path, into: Path) -> None:
    program = {".zst": ["zstd", "-dc"], ".gz": ["gzip", "-dc"], ".lz4": ["lz4", "-dc"]}
    reader = program.get(archive.suffix, ["cat"])
    with subprocess.Popen([*reader, archive], stdout=subprocess.PIPE) as stream:
        subprocess.run(["tar", "-x", "-C", into], stdin=stream.stdout, check=True)
    assert stream.returncode == 0


def until_served(node: PostgresNode) -> None:
    """Wait until a backup is on its way."""
    processes.until(lambda: _walsenders(node) != [], "a backup is served")


def kill_walsender(node: PostgresNode) -> None:
    """Let the server end the backup that it is serving."""
    until_served(node)
    for pid in _walsenders(node):
        os.kill(pid, signal.SIGTERM)


def recycle_wal(node: PostgresNode) -> None:
    """Let the server remove the WAL that a backup began with."""
    for _ in range(2):
        node.psql("SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal()")
        node.psql("CHECKPOINT")


@contextmanager
def set_to(node: PostgresNode, name: str, value: str) -> Iterator[None]:
    """Run the server with another setting for a block."""
    node.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    _reloaded(node)
    try:
        yield
    finally:
        node.psql(f"ALTER SYSTEM RESET {name}")
        _reloaded(node)


def _reloaded(node: PostgresNode) -> None:
    before = node.psql("SELECT pg_conf_load_time()")
    node.reload()
    loaded = f"SELECT pg_conf_load_time() > '{before}'"
    processes.until(lambda: node.psql(loaded) == "t", "the settings are read")


def _walsenders(node: PostgresNode) -> list[int]:
    found = node.psql("SELECT pid FROM pg_stat_progress_basebackup WHERE backup_streamed > 0")
    return [int(pid) for pid in found.split()]


@contextmanager
def made_anew(node: PostgresNode) -> Iterator[None]:
    """Let the server be an empty one, as on a volume that was not mounted."""
    aside = node.directory / "not-mounted"
    node.stop()
    node.data_directory.rename(aside)
    try:
        postgres.initialise(replace(node, tablespaces={}), hba=LOOPBACK_HBA)
        yield
    finally:
        node.stop()
        shutil.rmtree(node.data_directory)
        aside.rename(node.data_directory)
        node.start()
