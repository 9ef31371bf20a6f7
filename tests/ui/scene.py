"""The demo's shop and a control room with its UI, as programs of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML

from deployments.demo import application
from deployments.demo.database import DATABASE, Shop, create, described
from deployments.demo.inventory import CLUSTER, write_inventory
from deployments.demo.leftovers import end_processes, remove_host_lock
from deployments.demo.place import Place, free_port, place
from deployments.settings import ControlRoom
from runbook.inventory import read_inventory
from tests.lab.processes import until

SHOP = "corner-shop"
ORDERS = 20_000
_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_PROGRAM = Path(sys.executable).with_name("pg-runbooks")


@dataclass(frozen=True)
class Scene:
    """A shop that takes orders, and the control room that its runbooks are started from."""

    home: Place
    shop: Shop
    room: ControlRoom
    inventory: Path
    orders_backed_up: int = 0

    def program(self, *arguments: str | Path) -> str:
        """Run the command line to its end and give what it printed."""
        done = subprocess.run(
            (_PROGRAM, *arguments),
            env=_environment(self.room),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def orders_until(self, moment: str) -> int:
        """Count the orders from before a moment; the application goes on taking new ones."""
        sql = f"SELECT count(*) AS orders FROM orders WHERE placed <= '{moment}'"
        return int(str(self.shop.node.ask(sql, database=DATABASE)[0]["orders"]))

    def now(self) -> str:
        """Give the moment by the database's clock, when all orders from before it are written."""
        ask = self.shop.node.ask
        moment = str(ask("SELECT clock_timestamp()::text AS now")[0]["now"])
        busy = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{DATABASE}'"
        until(lambda: not ask(f"{busy} AND xact_start <= '{moment}'"), "no older order is open")
        return moment

    def has_orders(self) -> bool:
        """Tell whether the table of the orders exists."""
        sql = "SELECT to_regclass('orders') IS NOT NULL AS there"
        return bool(self.shop.node.ask(sql, database=DATABASE)[0]["there"])

    def backups(self) -> set[str]:
        """Name the backups in the store."""
        return {path.parent.name for path in (self.home.store / SHOP).glob("*/backup.json")}

    @contextmanager
    def policy(self, person: str, secret: str) -> Iterator[None]:
        """Let one person's one-time codes approve for the time of a block."""
        kept, proven = self.home.folder / "totp", self.home.folder / "proven.yaml"
        kept.write_text(secret)
        tree = YAML(typ="safe").load(self.inventory.read_text())
        rule = {"approvals": 1, "requester_may_approve": True}
        totp = {person: {"file": str(kept)}}
        tree["policies"] = {"bank": {"people": {person: {}}, "totp": totp, "rules": [rule]}}
        tree["clusters"][SHOP]["approval"] = {"policy": "bank"}
        with proven.open("w") as file:
            YAML(typ="safe").dump(tree, file)
        self.program("apply", proven)
        try:
            yield
        finally:
            self.program("apply", self.inventory)

    def directories(self) -> set[str]:
        """Name what lies beside the data directory: what is being restored, what was set aside."""
        return {path.name for path in self.home.postgresql.iterdir() if path.is_dir()}


@contextmanager
def scene() -> Iterator[Scene]:
    """Open the shop and the control room; at the end nothing of them runs any more."""
    folder = Path(tempfile.mkdtemp(prefix="shop-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        home = replace(stack.enter_context(place(folder)), programs=_PROGRAMS)
        stack.callback(remove_host_lock, SHOP)
        stack.callback(end_processes, home.folder)
        shop, inventory = _open_shop(home)
        room = ControlRoom(port=free_port(), state=home.state)
        stack.enter_context(_control_room(room))
        opened = Scene(home, shop, room, inventory)
        opened.program("apply", inventory)
        opened.program("register", "--timezone", "UTC")
        yield opened


def _open_shop(home: Place) -> tuple[Shop, Path]:
    """Make the demo's database and application, under a name that no demo beside uses.

    The pictures show the plan, so no path of the machine that takes them stands in it.
    """
    shop = described(home, free_port(), secrets.token_urlsafe(16))
    create(shop, orders=ORDERS)
    inventory = write_inventory(home, shop, free_port())
    program = home.folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    told = inventory.read_text().replace(CLUSTER, SHOP)
    inventory.write_text(told.replace(sys.executable, str(program)))
    assert [cluster.name for cluster in read_inventory(inventory).clusters] == [SHOP]
    application.start(home.application)
    until(lambda: application.read_report(home.application).orders > 0, "an order is taken")
    return shop, inventory


@contextmanager
def _control_room(room: ControlRoom) -> Iterator[None]:
    log = room.state / "up.log"
    with log.open("wb") as output:
        launcher = subprocess.Popen(
            (_PROGRAM, "up", "--port", str(room.port), "--drain", "1", "--timezone", "UTC"),
            env=_environment(room),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def is_up() -> bool:
        assert launcher.poll() is None, log.read_text()
        return "worker: pool" in log.read_text()

    try:
        until(is_up, "the worker has started", within=90)
        yield
    finally:
        launcher.terminate()
        launcher.wait(180)


def _environment(room: ControlRoom) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG_RUNBOOKS"))}
    return others | {
        "PREFECT_API_URL": room.api,
        "PREFECT_HOME": str(room.state / "prefect"),
        "PG_RUNBOOKS_STATE": str(room.state),
        "PYTHONUNBUFFERED": "1",
    }
