"""An Orchestrator as it answers, and the store of its backups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbook.cluster import Cluster
from runbook.components.group import DATABASES
from runbook.components.places import WRITABLE
from runbook.errors import SettingsError
from runbook.hosts import Command
from runbook.inventory import StoreSettings
from runbook.orchestrator.catalogue import OrchestratorCatalogue
from runbook.orchestrator.settings import Orchestrator
from runbook.postgres import Node
from runbook.postgres.state import Identity
from runbook.stores import NodeFolderStore, OpenStore, StoreSecret

_IN_STORE = "orchestrator"
_OURS = "pg-runbooks-run-"
_TABLES = """
SELECT count(*) AS tables FROM pg_catalog.pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


@dataclass(frozen=True)
class Live:
    """A living Orchestrator: its node, what PostgreSQL says of itself, and its databases' sizes."""

    cluster: Cluster
    settings: Orchestrator
    node: Node
    identity: Identity
    sizes: dict[str, int]

    def __str__(self) -> str:
        return self.node.name

    def tables(self) -> int:
        """Count the tables of the Orchestrator's database."""
        return int(str(self.node.ask(_TABLES, database=self.settings.database)[0]["tables"]))

    @property
    def directory(self) -> str:
        """Give the folder on the Orchestrator where archives are made."""
        return self.settings.directory.rstrip("/")

    def may(self, *argv: str) -> bool:
        """Tell whether a command that only reads succeeds for the user of orchestrator-cli."""
        return self.node.host.holds(*argv, user=self.settings.user)

    def is_writable(self) -> bool:
        """Tell whether the user of orchestrator-cli may write into the folder, or make it."""
        return self.may("sh", "-c", WRITABLE, "writable", self.directory)

    def is_inside_the_data(self) -> bool:
        """Tell whether the folder lies in the data directory, where a restore replaces it."""
        return f"{self.directory}/".startswith(f"{self.identity.data_directory}/")


@dataclass(frozen=True)
class Workshop:
    """The folder on an Orchestrator where each run has a folder of its own."""

    live: Live
    folder: OpenStore

    def __str__(self) -> str:
        return f"{self.live.node.host}:{self.live.directory}"

    def own(self, run_id: str) -> str:
        """Give the path of a run's own folder."""
        return f"{self.live.directory}/{_OURS}{run_id}"

    def key(self, run_id: str, name: str) -> str:
        """Give the name of a file in a run's own folder."""
        return f"{_OURS}{run_id}/{name}"

    def left(self) -> tuple[str, ...]:
        """Name the folders of runs, in order: all of them, for no other run is at work."""
        host, user = self.live.node.host, self.live.settings.user
        if not self.live.may("test", "-d", self.live.directory):
            return ()
        where = (self.live.directory, "-mindepth", "1", "-maxdepth", "1", "-type", "d")
        argv = ("find", "-H", *where, "-name", f"{_OURS}*", "-printf", "%f\\0")
        found = host.run(Command(argv, user=user, directory="/", timeout=60)).stdout
        return tuple(sorted(found.split("\0")[:-1]))

    def clear(self, run_id: str) -> None:
        """Remove a run's own folder with all it holds."""
        self._remove(self.own(run_id))

    def clear_left(self) -> int:
        """Remove the folders of runs; give their number."""
        names = self.left()
        for name in names:
            self._remove(f"{self.live.directory}/{name}")
        return len(names)

    def _remove(self, path: str) -> None:
        argv = ("rm", "-rf", "--", path)
        self.live.node.host.run(Command(argv, user=self.live.settings.user, timeout=300))


@dataclass(frozen=True)
class Places:
    """Where an archive is made, and where it is kept."""

    live: Live
    workshop: Workshop
    vault: OrchestratorCatalogue

    def stamp(self) -> str:
        """Give the id of a new backup."""
        taken = {files.id for files in self.vault.found()}
        at = datetime.now(UTC)
        while f"{at:%Y%m%d%H%M%S}" in taken:
            at += timedelta(seconds=1)
        return f"{at:%Y%m%d%H%M%S}"


def settings_of(cluster: Cluster) -> Orchestrator:
    """Give the settings of a cluster's Orchestrator; SettingsError when it has none."""
    if cluster.orchestrator is None:
        raise SettingsError(
            f"cluster {cluster} is no Orchestrator's",
            detail="orchestrator is not set",
            hint="Set it in the inventory, on a cluster whose one node is the Orchestrator's "
            "PostgreSQL: orchestrator: {store: NAME}.",
        )
    return cluster.orchestrator


def observed(cluster: Cluster) -> Live:
    """Ask the one node who it is; Unreachable when PostgreSQL does not answer."""
    settings = settings_of(cluster)
    node = cluster.only_node().located()
    rows = node.ask(DATABASES)
    sizes = {str(row["name"]): int(str(row["size"])) for row in rows}
    return Live(cluster, settings, node, node.identity(), sizes)


@contextmanager
def opened(live: Live, load: Callable[[str], StoreSettings]) -> Iterator[Places]:
    """Open the folder on the Orchestrator and the store for the time of a block."""
    settings = load(live.settings.store)
    if isinstance(settings.location, NodeFolderStore):
        raise SettingsError(
            f"cluster {live.cluster} cannot keep its Orchestrator's backups in {settings.name}",
            detail="it lies on the node, and would be lost with it",
            hint="Name a store that does not lie on a node.",
        )
    location = NodeFolderStore(path=live.directory, user=live.settings.user)
    prefix = "/".join(part for part in (live.cluster.folder, _IN_STORE) if part)
    with (
        location.open(StoreSecret(), live.node.host) as folder,
        settings.open() as store,
    ):
        vault = OrchestratorCatalogue(store, f"{prefix}/")
        yield Places(live, Workshop(live, folder), vault)
