"""Give each lab loopback addresses of its own, and clear away what a killed lab has left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from tests.lab import processes
from tests.lab.errors import LabError

BASE = Path(tempfile.gettempdir()) / "pg-runbooks-lab"


class AddressBlock:
    """Hold 127.N.0.0/24 and a directory of the same name until released or until death."""

    def __init__(self) -> None:
        BASE.mkdir(mode=0o755, exist_ok=True)
        for number in range(11, 250):
            if self._claim(number):
                return
        raise LabError("all 239 address blocks are held by other labs", hint=f"ls {BASE}")

    def _claim(self, number: int) -> bool:
        self.number, self.name = number, f"127.{number}"
        self.directory = BASE / self.name
        self._lock = os.open(BASE / f"{self.name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            return False
        self._clear()
        self.directory.mkdir(mode=0o755)
        return True

    def address(self, host: int) -> str:
        """Return the address of the lab's nth host; the first is 127.N.0.11."""
        return f"{self.name}.0.{10 + host}"

    def release(self) -> None:
        """End the lab's processes, unmount and remove its directory, give the block back."""
        try:
            self._clear()
        finally:
            os.close(self._lock)

    def _clear(self) -> None:
        for _ in range(3):
            processes.end(processes.members(self.name, self.directory))
        for mount in reversed(mounts_under(self.directory)):
            processes.run(["umount", "--lazy", mount])
        if self.directory.exists():
            shutil.rmtree(self.directory)


def mounts_under(directory: Path) -> list[Path]:
    """List the mount points inside a directory, outermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [Path(line.split()[1].replace("\\040", " ")) for line in lines]
    return [point for point in points if point.is_relative_to(directory)]
