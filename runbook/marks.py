"""Run marks: which process carries a run, so that a run without its process is found."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from runbook.whole_file import write_whole


class ProcessId(BaseModel):
    """One process, told apart from a later one of the same number and from other machines' ones."""

    model_config = ConfigDict(frozen=True)
    pid: int
    host: str
    boot: str
    started: int

    @property
    def is_alive(self) -> bool:
        """Tell whether this very process still runs here; a zombie does not."""
        return self == process_identity(self.pid)

    @property
    def is_of_this_host(self) -> bool:
        """Tell whether this machine can know anything about it."""
        return self.host == socket.gethostname()


class RunMark(BaseModel):
    """A run, the process that carries it, and since when."""

    model_config = ConfigDict(frozen=True)
    run: str
    runbook: str
    cluster: str
    process: ProcessId
    since: datetime


def process_identity(pid: int) -> ProcessId | None:
    """Identify a running process of this machine; None when there is none of that number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return ProcessId(pid=pid, host=socket.gethostname(), boot=_boot(), started=int(fields[19]))


def carries(pid: int, run: str) -> bool:
    """Tell whether a process was started for a run: numbers of processes are used again."""
    if process_identity(pid) is None:
        return False
    try:
        return run.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return True
    except OSError:
        return False


@contextmanager
def marked(folder: Path, run: str, runbook: str, cluster: str) -> Iterator[None]:
    """Leave a mark of this process for the time of a block; a death leaves it behind."""
    folder.mkdir(parents=True, exist_ok=True)
    process = process_identity(os.getpid())
    assert process is not None
    mark = RunMark(
        run=run, runbook=runbook, cluster=cluster, process=process, since=datetime.now(UTC)
    )
    path = folder / f"{run}.json"
    write_whole(path, mark.model_dump_json())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read_mark(folder: Path, run: str) -> RunMark | None:
    """Give the mark of a run; None where its process left none."""
    try:
        return RunMark.model_validate_json((folder / f"{run}.json").read_text())
    except (OSError, ValidationError):
        return None


def living(folder: Path) -> list[RunMark]:
    """Give the marks of the runs whose process is alive here."""
    marks = [read_mark(folder, path.stem) for path in sorted(folder.glob("*.json"))]
    return [mark for mark in marks if mark is not None and mark.process.is_alive]


def remove_mark(folder: Path, run: str) -> None:
    """Remove the mark that a dead process left behind."""
    (folder / f"{run}.json").unlink(missing_ok=True)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
