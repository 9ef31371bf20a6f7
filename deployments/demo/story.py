"""The demo from its first to its last line."""

from __future__ import annotations

import os
import secrets
import signal
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from deployments.demo import application
from deployments.demo.database import ORDERS, Shop, create, described
from deployments.demo.inventory import CLUSTER, write_inventory
from deployments.demo.leftovers import end_processes, remove_host_lock
from deployments.demo.place import Place, free_port, place
from deployments.demo.stages import Stages
from runbook.errors import CheckFailed

if TYPE_CHECKING:
    from deployments.up import Launcher

_UI_PORT = 4200
_ORDER_SECONDS = 10.0
_DRAIN_SECONDS = 5.0


def tell_story(folder: Path, *, keep: bool) -> None:
    """Show it all; when it ends, also by Ctrl-C or a failure, nothing of it runs any more."""
    stages = Stages(Console())
    with place(folder) as home, ExitStack() as stack:
        stages.stage(f"The demo lives in {home.folder}; nothing outside of it is touched")
        _keep_to(home)
        stack.callback(remove_host_lock, CLUSTER)
        stack.callback(end_processes, home.folder)
        helper = stack.enter_context(ThreadPoolExecutor(1))
        opening = helper.submit(_open_shop, home, stages)
        launcher = stack.enter_context(_control_room(home, stages))
        shop, inventory = opening.result()
        _deploy(inventory, stages)
        stack.enter_context(_undisturbed_end())
        from deployments.demo.incident import restore_lost_table

        restore_lost_table(home, shop, launcher.room.ui, stages)
        if keep:
            _say_kept(home, launcher, stages)
            with suppress(KeyboardInterrupt):
                launcher.watch()


def _keep_to(home: Place) -> None:
    """Let nothing of Prefect or of temporary files lie outside the demo's folder."""
    temporary = home.folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = str(home.state / "prefect")
    os.environ["PG_RUNBOOKS_STATE"] = str(home.state)
    os.environ["TMPDIR"] = str(temporary)
    os.environ["PREFECT_LOGGING_TO_API_BATCH_INTERVAL"] = "0.5"
    os.environ["PREFECT_WORKER_QUERY_SECONDS"] = "1"


def _open_shop(home: Place, stages: Stages) -> tuple[Shop, Path]:
    """Make database and application."""
    stages.stage(f"A PostgreSQL is made, with a shop of {ORDERS:,} orders")
    shop = described(home, free_port(), secrets.token_urlsafe(16))
    create(shop)
    seen = shop.node.identity()
    where = f"127.0.0.1:{shop.node.port} as operating system user {home.user}"
    stages.line(f"PostgreSQL {seen.version_text} runs on {where}")
    health_port = free_port()
    inventory = write_inventory(home, shop, health_port)
    application.start(home.application)
    _await_orders(home)
    stages.line(f"the application takes orders, http://127.0.0.1:{health_port}/health")
    return shop, inventory


def _await_orders(home: Place) -> None:
    until = time.monotonic() + _ORDER_SECONDS
    while not application.read_report(home.application).orders:
        if time.monotonic() > until:
            log = (home.application / "application.log").read_text()
            raise CheckFailed("the shop's application takes no orders", detail=log[-1000:])
        time.sleep(0.05)


@contextmanager
def _control_room(home: Place, stages: Stages) -> Iterator[Launcher]:
    """Hold Prefect's server and worker up."""
    stages.stage("Prefect's server and worker are started meanwhile")
    from deployments.settings import ControlRoom
    from deployments.up import Launcher

    room = ControlRoom(port=free_port(_UI_PORT), state=home.state)
    launcher = Launcher(room, stages.line, drain=_DRAIN_SECONDS)
    with launcher.running():
        yield launcher


def _deploy(inventory: Path, stages: Stages) -> None:
    """Save the inventory as blocks and deploy every runbook."""
    from blocks.save import save
    from deployments.register import register
    from runbook.inventory import read_inventory

    stages.stage(f"The inventory is applied: {inventory}")
    for change in save(read_inventory(inventory)):
        stages.line(f"block {change.kind} {change.name}: {change.verb}")
    names = [one.name.partition("/")[0] for one in register()]
    stages.line(f"{len(names)} runbooks are deployed: {', '.join(names)}")


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Let no second Ctrl-C interrupt the clearing away."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


def _say_kept(home: Place, launcher: Launcher, stages: Stages) -> None:
    stages.stage("Everything keeps running until Ctrl-C")
    text = _KEPT.format(
        ui=launcher.room.ui,
        api=launcher.room.api,
        state=home.state,
        cluster=CLUSTER,
        programs=sysconfig.get_path("scripts"),
    )
    stages.console.print(text, markup=False, highlight=False, soft_wrap=True)


_KEPT = """
  Open {ui}, choose Deployments, instance-restore/{cluster}, Run, and untick dry_run.
  When the run waits, read its plan and approve it there. Or at another terminal:

    export PATH={programs}:$PATH
    export PREFECT_API_URL={api} PG_RUNBOOKS_STATE={state}
    pg-runbooks run base-backup --cluster {cluster} --go
    pg-runbooks backups --cluster {cluster}
    pg-runbooks pending
"""
