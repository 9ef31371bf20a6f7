"""Directories as they were at their best: kept once, put back whatever was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.addresses import mounts_under
from tests.lab.sshd import Host


@dataclass(frozen=True)
class Golden:
    """Copies of directories, by name; nothing may work in a directory when it is copied."""

    directory: Path

    def keep(self, places: Mapping[str, Path]) -> None:
        """Copy directories, in place of what was kept under their names."""
        self.directory.mkdir(exist_ok=True)
        for name, place in places.items():
            processes.run(["rm", "-rf", self.directory / name])
            processes.run(["cp", "-a", place, self.directory / name])

    def put_back(self, places: Mapping[str, Path]) -> None:
        """Give directories the content that was kept; of what came since, nothing is left."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._put_back, places, places.values()))

    def _put_back(self, name: str, place: Path) -> None:
        processes.run(["find", place, "-mindepth", "1", "-delete"])
        processes.run(["cp", "-a", f"{self.directory / name}/.", place])


def halt(hosts: Iterable[Host], places: Iterable[Path]) -> None:
    """End everything at work in directories, cut all sessions, unmount, start sshd again."""
    hosts, places = tuple(hosts), tuple(places)
    for host in hosts:
        host.stop_ssh()
    for _ in range(2):  # what was just being started when the first look was taken
        processes.end(processes.members("none", *places))
    for place in places:
        for mount in reversed(mounts_under(place)):
            processes.run(["umount", "--lazy", mount])
    for host in hosts:
        host.start_ssh()
