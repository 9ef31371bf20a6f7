"""A real server and worker, whose settings, secrets among them, come from an inventory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from deployments.demo import application
from deployments.demo.database import Shop, create, described
from deployments.demo.inventory import write_inventory
from deployments.demo.leftovers import end_processes, remove_host_lock
from deployments.demo.place import Place, free_port, place
from tests.cli.shop import COMMAND
from tests.lab.s3 import S3Server
from tests.secrets import instance
from tests.secrets.markers import Markers
from tests.secrets.portal import Portal
from tests.secrets.watch import Watch

PERSON = "dana"
KEY = "id_dana"
POLICY = "drill"

_PAGE = 200
_LISTS = {
    "runs": "flow_runs/filter",
    "task runs": "task_runs/filter",
    "logs": "logs/filter",
    "artifacts": "artifacts/filter",
    "block documents": "block_documents/filter",
    "block types": "block_types/filter",
    "deployments": "deployments/filter",
    "variables": "variables/filter",
    "work pools": "work_pools/filter",
    "concurrency limits": "v2/concurrency_limits/filter",
}


@dataclass(frozen=True)
class Scene:
    """A shop, its inventory, and where its control room answers."""

    home: Place
    shop: Shop
    inventory: Path
    cluster: str
    port: int
    watch: Watch

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment of `up` and of every command; logs tell as much as they can."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG"))}
        return kept | {
            "PG_RUNBOOKS_STATE": str(self.home.state),
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.home.folder / "prefect"),
            "PREFECT_LOGGING_LEVEL": "DEBUG",
            "COLUMNS": "200",
        }

    @property
    def api(self) -> str:
        """Give the address of the API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def log(self) -> Path:
        """Give what launcher, server and worker print."""
        return self.home.folder / "up.log"

    def command(self, *arguments: str | Path) -> int:
        """Run pg-runbooks to its end, and keep what it printed."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
        said = done.stdout + done.stderr
        self.watch.answers.append((f"pg-runbooks {arguments[0]} {arguments[1:2]}", said))
        return done.returncode

    def run(self, runbook: str, *arguments: str) -> int:
        """Run a runbook through its deployment and give the exit code."""
        self.watch.ran.append(runbook)
        return self.command("run", runbook, "--cluster", self.cluster, *arguments)

    def said(self) -> str:
        """Give the end of everything that was printed, for a failure."""
        return "\n".join(content.decode(errors="replace")[-1500:] for _, content in self.answers)

    @property
    def answers(self) -> list[tuple[str, bytes]]:
        """Give what was printed by the last commands."""
        return self.watch.answers[-2:]

    def ask(self) -> None:
        """Read everything that the API tells."""
        with httpx.Client(base_url=self.api, timeout=60) as client:
            for channel, path in _LISTS.items():
                for content in _pages(client, path):
                    self.watch.answers.append((f"API: {channel}", content))
            for run in client.post("/flow_runs/filter", json={}).json():
                states = client.get("/flow_run_states/", params={"flow_run_id": run["id"]})
                self.watch.answers.append(("API: states", states.content))
            for content in _events(client):
                self.watch.answers.append(("API: events", content))


def _pages(client: httpx.Client, path: str) -> Iterator[bytes]:
    offset = 0
    while True:
        answer = client.post(f"/{path}", json={"limit": _PAGE, "offset": offset})
        assert answer.status_code == 200, f"{path}: {answer.text}"
        yield answer.content
        if len(answer.json()) < _PAGE:
            return
        offset += _PAGE


def _events(client: httpx.Client) -> Iterator[bytes]:
    answer = client.post("/events/filter", json={"limit": 50})
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.content
        following = answer.json()["next_page"]
        if not following:
            return
        answer = client.get(following)


@contextmanager
def opened(name: str, markers: Markers, portal: Portal, s3: S3Server) -> Iterator[Scene]:
    """Open the shop and the control room; at the end nothing of them runs any more."""
    folder = Path(tempfile.mkdtemp(prefix="pg-runbooks-secrets-"))
    folder.chmod(0o755)
    cluster = f"{name}-{os.getpid()}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home = stack.enter_context(place(folder))
        stack.callback(remove_host_lock, cluster)
        stack.callback(end_processes, home.folder)
        shop = described(home, free_port(), markers.secret("database"))
        create(shop, orders=300)
        inventory = write_inventory(home, shop, free_port(), cluster=cluster)
        _add_secrets(inventory, cluster, markers, portal, s3)
        assert application.start(home.application) == 0
        scene = Scene(home, shop, inventory, cluster, free_port(), _watch(home, markers))
        stack.enter_context(_up(scene))
        yield scene


def _add_secrets(
    inventory: Path, cluster: str, markers: Markers, portal: Portal, s3: S3Server
) -> None:
    folder = inventory.parent
    yaml = YAML()
    tree: dict[str, Any] = yaml.load(inventory)
    for store in ("cloud", instance.VAULT):
        made = instance.bucket(s3, f"{cluster}-{store}", markers.in_file(store, folder))
        tree["stores"][store] = made
    settings = tree["clusters"][cluster]
    settings["backups"]["store"] = "cloud"
    settings["audit"] = {"store": instance.VAULT}
    tree["policies"] = {POLICY: _policy(folder, markers)}
    settings["approval"] = {"policy": POLICY}
    settings["health"] += portal.checks()
    settings["health_secrets"] = instance.secrets_of(portal, folder)
    with inventory.open("w") as file:
        yaml.dump(tree, file)


def _policy(folder: Path, markers: Markers) -> dict[str, Any]:
    """Let Dana approve with an SSH key, or with one-time codes."""
    key = folder / KEY
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", PERSON, "-f", str(key)]
    subprocess.run(argv, check=True, timeout=60, stdin=subprocess.DEVNULL)
    _, *lines, _ = key.read_text().splitlines()
    markers.know(lines[-2])
    codes = markers.in_file("one time codes", folder, markers.in_base32())
    public = key.with_suffix(".pub").read_text().strip()
    return {
        "people": {PERSON: {"ssh_keys": [public]}},
        "totp": {PERSON: {"file": str(codes)}},
        "rules": [{"approvals": 1, "requester_may_approve": True}],
    }


def _watch(home: Place, markers: Markers) -> Watch:
    folders: dict[str, tuple[Path, ...]] = {
        "log of server and worker": (home.folder / "up.log",),
        "inventory": (home.folder / "inventory.yaml",),
        "Prefect's home": (home.folder / "prefect",),
        "the node's files": (home.postgresql,),
        "the application's files": (home.application,),
    }
    return Watch(markers, home.state, folders)


@contextmanager
def _up(scene: Scene) -> Iterator[None]:
    argv = [*COMMAND, "up", "--port", str(scene.port), "--drain", "2"]
    env = {k: v for k, v in scene.environment.items() if k != "PREFECT_API_URL"}
    with scene.log.open("wb") as output:
        up = subprocess.Popen(argv, env=env, cwd="/", stdout=output, stderr=output)
    try:
        until = time.monotonic() + 120
        while b"worker: pool" not in scene.log.read_bytes():
            assert up.poll() is None, scene.log.read_text()
            assert time.monotonic() < until, scene.log.read_text()
            time.sleep(0.1)
        yield
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(60)
        finally:
            up.kill()
