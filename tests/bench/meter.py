"""What a measurement cost and what disturbed it: CPU of ours and of others, memory."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import processes

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY = 0.25
Servers = Callable[[], Iterable[int]]


@dataclass(frozen=True)
class Cost:
    """CPU seconds of what was measured with its servers, of everything else on the machine
    (the kernel's writing back included), and stolen by the host; the load average before."""

    own: float
    foreign: float
    stolen: float
    load: float


class Meter:
    """Measures the cost of a block; `servers` names the servers that work for it."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def __enter__(self) -> Self:
        self._load = os.getloadavg()[0]
        self._own = _own_seconds()
        self._of_servers = _server_seconds(self._servers())
        self._busy, self._stolen = _machine_seconds()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        busy, stolen = _machine_seconds()
        after = _server_seconds(self._servers())
        own = _own_seconds() - self._own
        own += sum(after[pid] - self._of_servers.get(pid, 0.0) for pid in after)
        total = busy - self._busy
        self.cost = Cost(own, max(0.0, total - own), stolen - self._stolen, self._load)


class PeakMemory:
    """Watches the largest of our child processes during a block, servers left out."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._ended = threading.Event()
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        left_out = {each for pid in self._servers() for each in (pid, *processes.children(pid))}
        us = _command_line(os.getpid())
        while not self._ended.wait(_EVERY):
            mine = set(processes.children(os.getpid())) - left_out
            tools = (pid for pid in mine if _is_tool(pid, us))
            self.bytes = max([self.bytes, *map(peak_memory, tools)])


def peak_memory(pid: int) -> int:
    """Give the most memory a process has had in use, in bytes; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) << 10 for words in lines), 0)


def _is_tool(pid: int, us: bytes) -> bool:
    """Leave out our own fork before its exec, and a server that was just started."""
    line = _command_line(pid)
    return line != us and Path(os.fsdecode(line.split(b"\0")[0])).name != "postgres"


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _server_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Sum up each server with its living and its reaped children."""
    return {
        pid: sum(_process_seconds(each) for each in (pid, *processes.children(pid))) for pid in pids
    }


def _process_seconds(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = text.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _machine_seconds() -> tuple[float, float]:
    """Give the CPU seconds that the machine was busy, and that its host took away."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = (int(word) / _TICKS for word in words[:8])
    return user + nice + system + irq + softirq, steal
