"""A small shop for the command line: PostgreSQL, application, inventory, and no server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.demo import application
from deployments.demo.database import Shop, create, described
from deployments.demo.inventory import write_inventory
from deployments.demo.leftovers import end_processes, remove_host_lock
from deployments.demo.place import Place, free_port, place

COMMAND = (sys.executable, "-m", "deployments.cli")
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class ShopOfTests:
    """What the tests look at."""

    place: Place
    database: Shop
    inventory: Path
    cluster: str

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a command: the inventory, and no server that could answer."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG"))}
        return kept | {
            "PG_RUNBOOKS_INVENTORY": str(self.inventory),
            "PG_RUNBOOKS_STATE": str(self.place.state),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_HOME": str(self.place.folder / "prefect"),
            "COLUMNS": "200",
        }

    def command(
        self, *arguments: str, stdin: str = "", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pg-runbooks to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment | dict(extra or {}),
            cwd=self.place.folder,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )

    def run(self, runbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a runbook on the cluster."""
        return self.command("run", runbook, "--cluster", self.cluster, *arguments)

    def backups(self) -> list[dict[str, object]]:
        """The catalogue, as the command line gives it to programs."""
        rows: list[dict[str, object]] = json.loads(self.command("backups", "--json").stdout)
        return rows

    def records(self) -> list[Path]:
        """The audit records, oldest first."""
        found = (self.place.state / "audit").glob("*.jsonl")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def entries(self) -> list[str]:
        """What lies beside the data directory."""
        return sorted(path.name for path in self.place.postgresql.iterdir())

    def changed_inventory(self, old: str, new: str) -> Path:
        """The inventory with a change, as a file of its own."""
        text = self.inventory.read_text()
        assert old in text
        path = self.place.folder / "changed.yaml"
        path.write_text(text.replace(old, new))
        return path


@contextmanager
def small_shop(name: str, orders: int = 3000) -> Iterator[ShopOfTests]:
    """Make it, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="pg-runbooks-cli-"))
    folder.chmod(0o755)
    cluster = f"{name}-{os.getpid()}"
    try:
        with place(folder) as home:
            try:
                database = described(home, free_port(), "a secret of the tests")
                create(database, orders=orders)
                inventory = write_inventory(home, database, free_port(), cluster=cluster)
                assert application.start(home.application) == 0
                yield ShopOfTests(home, database, inventory, cluster)
            finally:
                end_processes(home.folder)
    finally:
        remove_host_lock(cluster)
        shutil.rmtree(folder)
