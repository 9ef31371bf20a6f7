"""Stands for the a9s Backup Manager and the a9s API, which nobody can install: real HTTP(S).

It speaks the requests and answers of the written page. Its backups hold the rows of one table of a
lab's node and its restores put them back; while it restores it is away, because its own database
is what is restored, and afterwards it knows nothing that is newer than the backup.
"""

from __future__ import annotations

import base64
import copy
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.lab.listener import listening
from tests.lab.manager_http import handler_for
from tests.lab.postgres import PostgresNode

USER = "admin"
GUID = "a9s-pg"
INSTANCE_ID = 38
DATABASE = "platform"
READ = "SELECT coalesce(string_agg(x::text, ',' ORDER BY x), '') FROM ledger"
LOG_USER = "oy6Xh45byt4IMhMmlLSV9s_WCdKx9-gT"
"""Stands in the agent's log as it does on the page; it may be a credential."""


@dataclass
class Job:
    """A backup: it is queued, runs, and ends as its fate says."""

    id: int
    backup_id: str
    created: datetime
    fate: str
    size: int
    content: str
    seconds: float
    downloadable: bool = True
    frozen: str = ""
    born: float = field(default_factory=time.monotonic)

    @property
    def status(self) -> str:
        if self.frozen:
            return self.frozen
        share = (time.monotonic() - self.born) / self.seconds if self.seconds else 1.0
        return "queued" if share < 0.3 else "running" if share < 1 else self.fate

    def told(self) -> dict[str, Any]:
        """Give it as the page shows it."""
        moment = f"{self.created:%Y-%m-%dT%H:%M:%S}.{self.created.microsecond // 1000:03d}Z"
        task = {"msg": None, "updated_at": moment, "created_at": moment}
        task |= {"status": self.status, "task_id": self.id, "id": self.id + 8}
        if self.status == "failed":
            task["msg"] = "no space left on device"
        return {
            "backup_agent_task": task,
            "is_downloadable": self.downloadable,
            "size": self.size if self.status in ("done", "deleted") else None,
            "backup_id": self.backup_id,
            "instance_id": INSTANCE_ID,
            "id": self.id,
        }


@dataclass
class Manager:
    """The manager, its faults and what it was asked. `faults` are taken one for each request."""

    node: PostgresNode
    log: Path
    password: str
    token: str = ""
    seconds: float = 0.4
    outage: float = 0.6
    backups: list[Job] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    lists_instances: bool = True
    fates: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    restore_fails: bool = False
    faults: dict[str, list[str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    is_away: bool = False
    turned_away: int = 0
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def count(self, request: str) -> int:
        """Count the requests of a kind that it has taken."""
        return sum(made.startswith(request) for made in self.requests)

    def rows(self) -> str:
        """Give what the table of the node holds now."""
        return self.node.psql(READ, database=DATABASE)

    def add(self, content: str, *, age: float = 0.0, **more: Any) -> Job:
        """Make a backup that is done since `age` seconds."""
        moment = datetime.fromtimestamp(time.time() - age, UTC)
        number = max((job.id for job in self.backups), default=146) + 1
        name = f"{GUID}-{int(moment.timestamp() * 1000)}"
        job = Job(number, name, moment, "done", 44985152, content, 0.0, **more)
        self.backups.append(job)
        return job

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: str
    ) -> tuple[int, object]:
        """Give status and JSON."""
        self.requests.append(f"{method} {path} {body}".strip())
        where = urlsplit(path).path
        if where.startswith("/v1/"):
            return self._service_api(method, where, headers, body)
        pair = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if headers.get("authorization") != f"Basic {pair}":
            return 401, {"error": "not you"}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if (method, where) == ("POST", "/backup_agent/backup"):
            return self._back_up(form)
        if (method, where) == ("POST", "/backup_agent/restores"):
            return self._restore(form)
        if (method, where) == ("GET", "/instances") and self.lists_instances:
            return 200, [self._own(), *self.others]
        if (method, where) == ("GET", f"/instances/{GUID}"):
            return 200, self._own()
        return 404, {"error": "not found"}

    def tell(self, text: str) -> None:
        """Write a line into the agent's log."""
        with self.log.open("a") as file:
            file.write(f"{text}\n")

    def tell_request(self, path: str) -> None:
        """Write a request into the agent's log, as the page shows it."""
        at = f"{datetime.now(UTC):%d/%b/%Y:%H:%M:%S +0000}"
        self.tell(f'172.28.19.56 - {LOG_USER} [{at}] "POST {path} HTTP/1.1" 200 21 0.0023')

    def close(self) -> None:
        """End what is under way."""
        self.closing.set()
        for thread in self._threads:
            thread.join()

    def _own(self) -> dict[str, Any]:
        told = [job.told() for job in self.backups]
        return {"restores": [], "backups": told, "instance_id": GUID, "id": INSTANCE_ID}

    def _back_up(self, form: dict[str, str]) -> tuple[int, object]:
        if form != {"instance_guid": GUID}:
            return 404, {"error": f"no such instance: {form}"}
        job = self.add(self.rows())
        job.seconds = self.seconds
        job.fate = self.fates.pop(0) if self.fates else "done"
        job.size = self.sizes.pop(0) if self.sizes else job.size
        return 200, {"message": "job to backup is queued"}

    def _restore(self, form: dict[str, str]) -> tuple[int, object]:
        found = [job for job in self.backups if str(job.id) == form.get("backup_id")]
        if not found or form.get("instance_id") != str(INSTANCE_ID) or found[0].status != "done":
            return 422, {"error": f"cannot restore {form}"}
        self._begin(lambda: self._carry_out(found[0]))
        return 200, {"restore_id": 5}

    def _carry_out(self, job: Job) -> None:
        """Be away, put the rows back, and know nothing of what came after the backup."""
        self.tell_request("/v1/restore")
        self.is_away = True
        self.tell_request("/v1/order")
        self.closing.wait(self.outage / 2)
        if self.restore_fails:
            self.tell("E, [2018-11-20T12:13:00.939338 #31554] ERROR -- : psql: server closed")
        else:
            rows = "".join(f"INSERT INTO ledger VALUES ({x});" for x in job.content.split(",") if x)
            self.node.psql(f"TRUNCATE ledger; {rows}", database=DATABASE)
            self.tell("I, [2018-11-20T12:13:00.939338 #31554]  INFO -- : success")
            known = [copy.copy(one) for one in self.backups if one.created <= job.created]
            known[-1].frozen = "running"  # so it was when its dump was taken
            self.backups = known
            self.others = [one for one in self.others if one["created_at"] <= _text(job.created)]
        self.tell_request("/v1/order")
        self.closing.wait(self.outage / 2)
        self.is_away = False

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _service_api(
        self, method: str, path: str, headers: dict[str, str], body: str
    ) -> tuple[int, object]:
        if headers.get("authorization") != self.token:
            return 401, {"error": f"who is {headers.get('authorization')}?"}
        if (method, path) != ("PATCH", f"/v1/instances/{GUID}/backups-config"):
            return 404, {"error": "not found"}
        self.keys.append(body)
        return 200, {"message": "updated", "echo": body}


def instance(name: str, created: datetime) -> dict[str, Any]:
    """Give another instance that the manager knows."""
    more = {"created_at": _text(created), "restores": [], "backups": []}
    return {"instance_id": name, "id": abs(hash(name)) % 1000 + 100, **more}


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


@contextmanager
def served(manager: Manager, context: ssl.SSLContext | None = None) -> Iterator[Manager]:
    """Serve it on a free loopback port for the time of a block."""
    with listening(handler_for(manager), context) as manager.url:
        try:
            yield manager
        finally:
            manager.close()
