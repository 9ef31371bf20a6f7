"""Application hosts on the loopback lab whose files are repointed; docker-compose judges them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from runbook import step
from runbook.approval import Nobody
from runbook.apps import App
from runbook.audit import read_trail
from runbook.drive import Driver, Order, Result
from runbook.errors import RunbookError
from runbook.plan import Plan
from runbook.repoint.job import Repointing
from runbook.repoint.target import Target
from runbook.watch import LogWatcher
from tasks import repoint
from tests.lab.sshd import Host

OLD, NEW = "10.0.0.1", "10.0.0.2"
SECRET = "S3CRET"

COMPOSE = f"""\
# APIO core
version: "3.7"
services:
    apio-core:   # the core
        image: apio/core
        restart: always
        environment:
            DATABASE_URL: "postgresql://apio:{SECRET}@{OLD}:5432/apio"  # the primary
            PGPASSWORD: {SECRET}
            REDIS_HOST: {OLD}
    worker:
        image: apio/worker
        environment: [ 'DB={OLD}:5432', TOKEN={SECRET} ]
"""
ENV = f'# gateway\nDATABASE_URL="postgresql://gw:{SECRET}@{OLD}/gw" # x\nOTHER={OLD}\n'
ENV_NAME = "gateway.env"
CHANGED = COMPOSE.replace(f"@{OLD}", f"@{NEW}").replace(f"DB={OLD}", f"DB={NEW}")
CHANGED_ENV = ENV.replace(f"@{OLD}", f"@{NEW}")
BOTH = [
    {"service": "apio-core", "variable": "DATABASE_URL"},
    {"service": "worker", "variable": "DB"},
]


class Watcher(LogWatcher):
    """Keeps the plan, and does something before the nth action."""

    def __init__(self, before: int = 0, do: Callable[[], object] = lambda: None) -> None:
        self.plan: Plan | None = None
        self._left, self._do = before, do

    def planned(self, plan: Plan) -> None:
        self.plan = plan

    def told(self, text: str) -> None:
        if text.startswith("on "):
            self._left -= 1
            if self._left == 0:
                self._do()


@dataclass
class Site:
    """Two application hosts, each with a folder, and the state directory of the worker."""

    hosts: Sequence[Host]
    base: Path
    text: str = COMPOSE
    told: list[str] = field(default_factory=list)

    def folder(self, number: int) -> Path:
        return self.hosts[number].directory / "apio"

    def file(self, number: int, name: str = "docker-compose.yml") -> Path:
        return self.folder(number) / name

    def write(self, name: str = "docker-compose.yml", text: str = "") -> None:
        """Write a file on every host."""
        for number in range(len(self.hosts)):
            self.folder(number).mkdir(exist_ok=True)
            self.file(number, name).write_text(text or self.text)

    def app(self, number: int, database: Sequence[Mapping[str, str]] = (), **more: Any) -> App:
        host = self.hosts[number]
        file = str(self.file(number))
        managed = {"kind": "docker-compose", "file": file, **more}
        return App.model_validate(
            {
                "name": "apio",
                "host": {"name": host.name, "way": host.way()},
                "managed_by": managed,
                "database": database or BOTH,
            }
        )

    def apps(self, database: Sequence[Mapping[str, str]] = (), **more: Any) -> tuple[App, ...]:
        return tuple(self.app(number, database, **more) for number in range(len(self.hosts)))

    def plain(self) -> tuple[App, ...]:
        """Give applications without compose, whose files need no judge and are quick."""
        return tuple(self._plain(number) for number in range(len(self.hosts)))

    def _plain(self, number: int) -> App:
        host, file = self.hosts[number], str(self.file(number, ENV_NAME))
        away = str(self.folder(number) / "stopped")
        return App.model_validate(
            {
                "name": "gateway",
                "host": {"name": host.name, "way": host.way()},
                "managed_by": {
                    "kind": "commands",
                    "start_command": ["rm", away],
                    "stop_command": ["touch", away],
                    "running_command": ["test", "!", "-e", away],
                },
                "database": [{"file": file, "variable": "DATABASE_URL"}],
            }
        )

    def run(
        self,
        apps: Sequence[App],
        *,
        address: str = NEW,
        port: int | None = 5432,
        skip: str | None = None,
        dry_run: bool = False,
        watcher: Watcher | None = None,
    ) -> Result:
        """Repoint in a run of its own; what it said is kept, its errors too."""
        body = partial(_body, apps, address, port, skip)
        return self._conduct(body, watcher or Watcher(), dry_run=dry_run)

    def _conduct(
        self, body: Callable[[], None], watcher: Watcher, *, dry_run: bool = False
    ) -> Result:
        driver = Driver(self.base / "state", Nobody(), watcher)
        order = Order("test", "", {}, body, tuple)
        try:
            result = driver.dry_run(order) if dry_run else driver.run(order)
        except RunbookError as error:
            self.told.append(str(error))
            raise
        finally:
            self.told.append(watcher.plan.markdown() if watcher.plan else "")
        return result

    def promote(self, apps: Sequence[App], watcher: Watcher | None = None) -> Result:
        """Stop, repoint and recreate, as a promotion does around the promotion itself."""
        return self._conduct(lambda: _promotion(apps), watcher or Watcher())

    def records(self) -> str:
        """Give all records of all runs, verified; what they told is in them."""
        trails = sorted((self.base / "state/audit").glob("*.jsonl"))
        return "\n".join([str(entry) for path in trails for entry in read_trail(path)] + self.told)

    def names(self, number: int) -> list[str]:
        return sorted(path.name for path in self.folder(number).iterdir())

    def snapshot(self) -> list[tuple[str, bytes, os.stat_result]]:
        """Give all files with content and metadata, their folders too."""
        found = []
        for number in range(len(self.hosts)):
            for path in sorted([self.folder(number), *self.folder(number).iterdir()]):
                content = path.read_bytes() if path.is_file() else b""
                stat = path.stat()
                found.append((str(path), content, (stat.st_ino, stat.st_mode, stat.st_mtime_ns)))
        return found  # type: ignore[return-value]


def leftovers(site: Site, number: int) -> list[str]:
    """Name what lies beside the files, the mark of a restart that is due left out."""
    known = ("docker-compose.yml", ENV_NAME, f"{ENV_NAME}.restart-due")
    return [name for name in site.names(number) if name not in known]


def backups(site: Site, number: int) -> list[Path]:
    """Give the backups that lie beside the files."""
    return sorted(site.folder(number).glob("*.bak"))


def run_apart(
    site: Site, apps: Sequence[App], before: int, number: signal.Signals, *, whole: bool = False
) -> None:
    """Repoint in a process that sends itself a signal before the nth action."""
    process = multiprocessing.get_context("forkserver").Process(
        target=_dying, args=(site, apps, before, number, whole)
    )
    process.start()
    process.join(120)
    assert process.exitcode == (-9 if number == signal.SIGKILL else 1)


def _dying(
    site: Site, apps: Sequence[App], before: int, number: signal.Signals, whole: bool
) -> None:
    def interrupted(received: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    watcher = Watcher(before, lambda: os.kill(os.getpid(), number))
    if whole:
        site.promote(apps, watcher)
    site.run(apps, watcher=watcher)


def _body(apps: Sequence[App], address: str, port: int | None, skip: str | None) -> None:
    if skip is not None:
        with step("1", "Look"):
            apps = repoint.chosen(apps, skip)
            repoint.possible(apps, address, port)
    with step("5", "Repoint"):
        repoint.applications(apps, address, port)


def _promotion(apps: Sequence[App]) -> None:
    done = Repointing(apps, Target(NEW)).is_done
    with step("1", "Stop"):
        repoint.stop(apps, unless=done)
    with step("5", "Repoint"):
        repoint.applications(apps, NEW)
    with step("6", "Recreate"):
        repoint.recreate(apps, NEW)
