"""A repmgr cluster on the loopback lab, to be damaged by runbooks and brought back in a second.

    @pytest.fixture(scope="module")
    def scene(loopback_lab, tmp_path_factory):
        return replication_scene.build(
            loopback_lab, "pa", "pb", "pc", base=tmp_path_factory.mktemp("promotion"))

    @pytest.fixture
    def healthy(scene):
        scene.reset()
        yield scene
        scene.halt()

Host names are the node names and must be unique in the session (`pa` is the first primary,
node id 1; `pb`, `pc` its standbys). `apps` clients write on hosts of their own: `scene.apps`.

Run      scene.run("promotion", candidate="pb", at=Point("4"))         -> driver.Outcome
         scene.run_with("promotion", Point("4"), deed, candidate="pb") halts there, does `deed()`
         scene.node_settings / cluster_settings / app_settings         extend the inventory
Judge    scene.writable(), streaming(), slots(node), show(node), servers(), fingerprint(node),
         strays(), aside(node), primary, standbys; more in tests.lab.judge (timeline, fork,
         upstream, received, position, amcheck); `with scene.unchanged():` proves a dry run
Write    with scene.writer() as writer: ...; history = writer.stop(); history.outage,
         history.lost(node), history.after(judge.fork(node)); the same of scene.apps[0].history
Trouble  tests.lab.trouble (kill, killed, frozen, unreachable(host), small_disk, full_disk),
         tests.lab.split (replay_paused, apply_delayed, cut_off, supervised, orphan_slot, ghost,
         fence_command, forgotten, inactive, promoted_by_hand), scene.daemons() (real repmgrd)
Reset    scene.reset(): servers, directories, repmgr.conf, slots, sshd, apps as `build` left them;
         scene.keep() keeps the state of now for the next resets (after scene.back_up(), say).
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import counting, golden, judge, processes, shop, shop_client
from tests.lab.counting import CountingWriter
from tests.lab.golden import Golden
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import RepmgrCluster
from tests.lab.repmgrd import Daemons
from tests.lab.shop_client import ShopClient
from tests.lab.sshd import Host
from tests.lab.unchanged import Observation
from tests.laws import inventory, reading
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome, Point
from tests.laws.replication_judges import Judged

ROWS = 1000

_AT_WORK = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counting' AND state = 'active'"""


@dataclass
class Scene(Judged):
    """One repmgr cluster, its inventory, its applications, and what it looks like when whole."""

    lab: LoopbackLab
    cluster: RepmgrCluster
    base: Path
    apps: tuple[ShopClient, ...] = ()
    node_settings: dict[str, Any] = field(default_factory=dict)
    cluster_settings: dict[str, Any] = field(default_factory=dict)
    app_settings: dict[str, Any] = field(default_factory=dict)
    fingerprints: str = ""
    backup: str = ""
    apps_run: bool = True

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's, because all lab hosts share the locks in /tmp."""
        return f"{self.nodes[0].name}-{self.lab.name}"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every host of the scene: nodes' and applications'."""
        return (*(node.host for node in self.nodes), *(app.host for app in self.apps))

    @property
    def store(self) -> Path:
        """The directory that the backups of the cluster lie in."""
        return self.base / "store" / self.name

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        return Runner(path, self.base / "state")

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def run_with(
        self, procedure: str, at: Point, deed: Callable[[], object], **arguments: Any
    ) -> Outcome:
        """Run a procedure, and do something while it stands still at a moment."""
        halt = Point(at.step, at.action, at.transfer, signal.SIGSTOP)
        running = self.runner.start(procedure, cluster=self.name, at=halt, **arguments)
        try:
            running.halted()
            deed()
        except BaseException:
            running.process.kill()
            raise
        running.send(signal.SIGCONT)
        return running.outcome()

    def back_up(self) -> str:
        """Take a backup with the runbook; keep its id and what the shop held. Then `keep`."""
        self.fingerprints = shop.fingerprint(self.primary)
        outcome = self.run("base-backup")
        assert outcome.completed, outcome.said
        self.backup = max(path.name for path in self.store.iterdir() if path.is_dir())
        return self.backup

    def keep(self) -> None:
        """Keep a copy of all stopped nodes for `reset`; they and the applications run afterwards.

        The nodes must be as `build` leaves them: the first primary, the others streaming.
        """
        for app in self.apps:
            app.stop()
        for node in self.nodes:
            node.psql("CHECKPOINT")
        for node in self.nodes:
            node.stop()
        self._golden.keep(self._places)
        self._start()

    def reset(self) -> None:
        """Bring all nodes and applications back to what `keep` kept, whatever was done to them."""
        self.halt()
        self._golden.put_back(self._places)
        shutil.rmtree(self.base / "state", ignore_errors=True)
        self._start()

    def halt(self) -> None:
        """End everything that runs on the scene's hosts, and mend their mounts and sshd."""
        golden.halt(self.hosts, self._places.values())

    @property
    def _places(self) -> dict[str, Path]:
        nodes = {node.name: node.directory for node in self.nodes}
        return nodes | {app.name: app.directory for app in self.apps}

    @property
    def _golden(self) -> Golden:
        return Golden(self.base / "golden")

    def _start(self) -> None:
        first, *others = self.nodes
        first.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(PostgresNode.start, others))
            list(pool.map(ShopClient.start, self.apps if self.apps_run else ()))
        names = {node.name for node in others}
        processes.until(lambda: set(judge.streaming(first, others)) == names, "all stream")

    def writer(self, *, interval: float = 0.02) -> CountingWriter:
        """A client that finds the writable node by itself, whichever it is."""
        return CountingWriter(counting.anywhere(self.nodes), interval=interval)

    def daemons(self, *, automatic: bool = False) -> Daemons:
        """repmgrd for the nodes, not started; `reset` ends them."""
        return Daemons(self.cluster, automatic)

    @contextmanager
    def unchanged(self, *scripts: str) -> Iterator[Observation]:
        """Prove that nothing changes in a block; applications that run stand still meanwhile."""
        with self.at_rest():
            before = [(app.pid, app.settings.read_text()) for app in self.apps]
            with self.lab.unchanged(*self.nodes, scripts=(*reading.REPLICATION, *scripts)) as seen:
                yield seen
            assert [(app.pid, app.settings.read_text()) for app in self.apps] == before

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Let the applications stand still for a block, and none of their rows be on its way."""
        for app in self.apps:
            app.send(signal.SIGSTOP)
        try:
            running = [node for node in self.nodes if node.is_running()]
            processes.until(lambda: all(map(_is_idle, running)), "no row is on its way")
            yield
        finally:
            for app in self.apps:
                app.send(signal.SIGCONT)

    def _inventory(self) -> dict[str, Any]:
        cluster = {
            "nodes": [{**inventory.member(node), **self.node_settings} for node in self.nodes],
            "apps": [{**inventory.application(app), **self.app_settings} for app in self.apps],
            "replication": {"user": "repmgr", "method": "trust"},
            "backups": {"store": "store"},
            **self.cluster_settings,
        }
        return inventory.of_one(self.name, cluster, self.base)


def _is_idle(node: PostgresNode) -> bool:
    """Tell whether a server has read all that it was sent, and is at work on no row."""
    where = ("src", node.host.address, "sport", "=", f":{node.port}")
    seen = processes.run(["ss", "-Htn", "state", "established", *where]).stdout
    is_read = all(line.split()[0] == "0" for line in seen.splitlines())
    return is_read and node.psql(_AT_WORK) == "0"


def build(
    lab: LoopbackLab,
    *names: str,
    base: Path,
    rows: int = ROWS,
    apps: int = 1,
    tablespaces: Sequence[str] = (),
    pgbench_scale: int = 0,
) -> Scene:
    """Make a cluster of the named hosts, the first its primary, and keep it for `reset`.

    `apps`: so many hosts `<first>app1`, … whose client writes all the time.
    """
    cluster = lab.repmgr_cluster(
        *names,
        rows=rows,
        pgbench_scale=pgbench_scale,
        tablespaces=tablespaces,
        settings={"min_wal_size": "32MB", "wal_recycle": "off"},
    )
    first = cluster.nodes[0]
    first.psql(counting.TABLE, database=shop.DATABASE)
    hosts = [lab.host(f"{first.name}app{number}") for number in range(1, apps + 1)]
    clients = tuple(shop_client.install_client(host, first) for host in hosts)
    scene = Scene(lab, cluster, base, clients)
    scene.fingerprints = shop.fingerprint(first)
    scene.keep()
    return scene
