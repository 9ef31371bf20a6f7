"""The same command line with a server: `up`, `apply`, `run`, `pending`, `approve`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from deployments.demo.place import free_port
from tests.cli.shop import COMMAND, ShopOfTests

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Control:
    """The shop, seen through a control room that `pg-runbooks up` holds."""

    shop: ShopOfTests
    port: int
    up: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        env = self.shop.environment | {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"}
        del env["PG_RUNBOOKS_INVENTORY"]
        return env

    def command(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment | settings,
            cwd="/",
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def waiting(self) -> dict[str, str]:
        """Give the one run that waits, as soon as it does."""
        until = time.monotonic() + 180
        while not (found := json.loads(self.command("pending", "--json").stdout)):
            assert time.monotonic() < until
        [waiting] = found
        return dict(waiting)

    def background(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def control(shop: ShopOfTests) -> Iterator[Control]:
    port, log = free_port(), shop.place.folder / "up.log"
    env = {k: v for k, v in shop.environment.items() if not k.startswith("PREFECT_")}
    with log.open("wb") as output:
        argv = [*COMMAND, "up", "--port", str(port), "--drain", "2"]
        up = subprocess.Popen(argv, env=env, cwd="/", stdout=output, stderr=output)
    try:
        until = time.monotonic() + 90
        while b"worker: pool" not in log.read_bytes():
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        made = Control(shop, port, up)
        applied = made.command("apply", str(shop.inventory))
        assert (applied.returncode, applied.stdout.split()[-2:]) == (0, ["pg-runbooks", "register"])
        assert made.command("register").returncode == 0
        yield made
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(180)
        finally:
            up.kill()
    assert up.returncode == 0


def test_an_inventory_is_applied_once(control: Control) -> None:
    again = control.command("apply", str(control.shop.inventory), "--json")
    assert {change["verb"] for change in json.loads(again.stdout)} == {"unchanged"}


def test_a_dry_run_shows_the_difference_and_writes_nothing(control: Control) -> None:
    changed = control.shop.changed_inventory(
        "store: demo-folder", "store: demo-folder\n      keep: 3"
    )
    for _ in range(2):
        done = control.command("apply", str(changed), "--dry-run")
        assert f"~ cluster {control.shop.cluster}: update" in done.stdout
        assert "backups.keep: 7 becomes 3" in done.stdout
        assert "1 of 2 blocks would be written." in done.stdout


def test_a_file_with_one_mistake_writes_nothing_at_all(control: Control) -> None:
    wrong = control.shop.changed_inventory("kind: commands", "kind: magic")
    done = control.command("apply", str(wrong))
    assert done.returncode == 2
    assert "magic" in done.stderr
    again = control.command("apply", str(control.shop.inventory))
    assert "All blocks are already so." in again.stdout


def test_a_plan_is_shown_as_without_a_server(control: Control) -> None:
    words = ("plan", "base-backup", "--cluster", control.shop.cluster)
    alone, done = control.shop.command(*words), control.command(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line for line in alone.stdout.splitlines() if line.startswith("### ")]
    assert [line for line in done.stdout.splitlines() if line.startswith("### ")] == steps != []
    told = json.loads(control.command(*words, "--json").stdout)
    assert told["plan"].startswith(f"## Plan: base-backup on {control.shop.cluster}")


def test_a_refused_run_shows_its_error_once_and_no_traceback(control: Control) -> None:
    words = ("run", "instance-restore", "--cluster", control.shop.cluster, "--backup", "nix")
    done = control.command(*words)
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("ERROR:  ") == 1, done.stdout
    for noise in ("Traceback", "Engine execution", "Finished in state"):
        assert noise not in done.stdout


def test_a_backup_through_its_deployment_is_followed_to_its_end(control: Control) -> None:
    words = ("run", "base-backup", "--cluster", control.shop.cluster, "--go")
    done = control.command(*words, COLUMNS="40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "step 5: Create the backup, verified while it is written" in done.stdout
    rows = json.loads(control.command("backups", "--json").stdout)
    assert [row["state"] for row in rows] == ["sound"]


def test_settings_that_cannot_be_used_keep_no_other_cluster_from_it(control: Control) -> None:
    """A rule of the settings is newer than the block, say: nobody could save it so now."""
    api = f"http://127.0.0.1:{control.port}/api"
    kind = httpx.get(f"{api}/block_types/slug/postgres-cluster").raise_for_status().json()["id"]
    wanted = {"block_documents": {"block_type_id": {"any_": [kind]}}}
    [block] = httpx.post(f"{api}/block_documents/filter", json=wanted).raise_for_status().json()
    same = {key: block[key] for key in ("block_schema_id", "block_type_id")}
    spoiled = {**same, "name": "spoiled", "data": {**block["data"], "nodes": []}}
    made = httpx.post(f"{api}/block_documents/", json=spoiled).raise_for_status().json()
    try:
        done = control.command("backups", "--json")
        assert done.returncode == 1
        assert {row["cluster"] for row in json.loads(done.stdout)} == {control.shop.cluster}
        assert "spoiled: not listed\nERROR:  the settings of cluster 'spoiled'" in done.stderr
        aged = control.command("backups", "--max-age", "26h")
        assert (aged.returncode, aged.stderr) == (1, done.stderr)
        assert control.command("backups", "--cluster", "spoiled").returncode == 2
        copied = control.command("audit", "mirror")
        assert copied.returncode == 1
        assert "spoiled: not copied\nERROR:  the settings of cluster" in copied.stderr
    finally:
        httpx.delete(f"{api}/block_documents/{made['id']}").raise_for_status()


def test_a_refusal_at_another_terminal_ends_the_run_as_cancelled(control: Control) -> None:
    cluster = control.shop.cluster
    follower = control.background("run", "instance-restore", "--cluster", cluster, "--go")
    try:
        waiting = control.waiting()
        assert waiting["cluster"] == cluster
        assert "Ask for the go-ahead" in waiting["plan"]
        listed = control.command("pending").stdout
        assert waiting["run"] in listed
        assert waiting["plan_digest"][:12] in listed
        told = control.command(
            "approve", waiting["run"][:13], "--refuse", "--as", "Rita", "--reason", "not now"
        )
        assert told.returncode == 0, told.stderr
        text, _ = follower.communicate(timeout=180)
    finally:
        follower.kill()
        follower.wait()
    assert follower.returncode == 3, text
    assert "was refused by Rita" in text
    assert control.command("pending").stdout.startswith("No run waits")
    assert not [name for name in control.shop.entries() if "aside" in name]


def test_who_no_longer_follows_a_waiting_run_is_told_how_it_is_answered(control: Control) -> None:
    words = ("run", "instance-restore", "--cluster", control.shop.cluster, "--go")
    follower = control.background(*words)
    try:
        run = control.waiting()["run"]
        follower.send_signal(signal.SIGINT)
        text, _ = follower.communicate(timeout=60)
    finally:
        follower.kill()
        follower.wait()
    told = control.command("approve", run, "--refuse", "--as", "Rita", "--follow", COLUMNS="40")
    assert follower.returncode == 130, text
    assert f"It waits; answer: pg-runbooks approve {run}, or refuse" in text
    assert f"pg-runbooks approve {run} --refuse" in text
    assert "cancel" not in text
    assert "your answer is with the run (refuse)." in told.stdout
    assert told.returncode == 3, told.stdout + told.stderr


def test_a_mistyped_name_does_not_approve(control: Control) -> None:
    done = control.command("approve", "00000000", "--as", "Rita", "--confirm", "shop")
    assert done.returncode == 2
    assert "no waiting runs begin with" in done.stderr


def test_an_approval_given_beforehand_carries_a_restore_to_its_end(control: Control) -> None:
    shop = control.shop
    shop.database.execute("DROP TABLE orders")
    approval = ("--approve-by", "Dana Test", "--reason", "table gone", "--confirm", shop.cluster)
    done = control.command("run", "instance-restore", "--cluster", shop.cluster, "--go", *approval)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recovery time (RTO)" in done.stdout
    assert shop.database.orders() >= 3000
    audit = control.command("audit", "verify", str(shop.records()[-1]), "--json")
    assert json.loads(audit.stdout)["approved_by"] == ["Dana Test"]
