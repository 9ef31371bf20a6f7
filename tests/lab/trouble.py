"""Things that go wrong, each for the length of a `with` block, and put right at its end."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.postgres import PostgresNode
from tests.lab.sshd import Host


def kill(node: PostgresNode) -> None:
    """Kill the server with SIGKILL, as power loss would, and leave it dead."""
    pids = _signal(node, signal.SIGKILL)
    # PostgreSQL takes a zombie for a living postmaster: wait until pid 1 has reaped them all.
    processes.until(lambda: not any(map(processes.exists, pids)), f"{node.name} is reaped")


@contextmanager
def killed(node: PostgresNode) -> Iterator[None]:
    """Kill the server with SIGKILL, as power loss would; it is started again at the end."""
    kill(node)
    try:
        yield
    finally:
        if not node.is_running() and node.data_directory.exists():
            node.start()


@contextmanager
def frozen(node: PostgresNode) -> Iterator[None]:
    """Stop the server's processes with SIGSTOP: it holds its port and answers nothing."""
    pids = _signal(node, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            processes.send(pid, signal.SIGCONT)


@contextmanager
def unreachable(host: Host) -> Iterator[None]:
    """Stop the host's sshd and cut its connections; PostgreSQL goes on."""
    host.stop_ssh()
    try:
        yield
    finally:
        host.start_ssh()


@contextmanager
def half_open(host: Host) -> Iterator[None]:
    """Let the connections of now to the host's sshd end for the client alone; new ones come in.

    So it is when a firewall forgets them: the host hears nothing, its sessions go on.
    """
    where = ("dst", host.address, "dport", "=", f":{host.ssh_port}")
    seen = processes.run(["ss", "-Htn", "state", "established", *where]).stdout
    ports = ",".join(line.split()[2].rpartition(":")[2] for line in seen.splitlines())
    table = f"lab_{host.lab}_{host.name}".replace("-", "_")
    there = f"ip daddr {host.address} tcp dport {host.ssh_port} tcp sport {{ {ports} }}"
    back = f"ip saddr {host.address} tcp sport {host.ssh_port} tcp dport {{ {ports} }}"
    rules = f"{there} reject with tcp reset\n{back} tcp flags & rst == 0 drop\n"
    chain = f"chain o {{ type filter hook output priority 0\n{rules}}}"
    processes.run(["nft", f"table inet {table} {{\n{chain}\n}}"])
    try:
        yield
    finally:
        processes.run(["nft", "delete", "table", "inet", table])


@contextmanager
def small_disk(node: PostgresNode, *, free: int) -> Iterator[Path]:
    """Move a stopped node's directory to a file system of its own with so many bytes free.

    Yields its ballast: `fill(ballast, free)` changes what is free. Afterwards the node is stopped
    and its directory is as it was before.
    """
    used = sum(path.stat().st_blocks * 512 for path in node.directory.rglob("*") if path.is_file())
    real = node.directory.rename(node.directory.with_name(f"{node.directory.name}.real"))
    try:
        node.directory.mkdir()
        _mount(node.directory, used + used // 20 + free + (1 << 20))
        processes.run(["cp", "-a", f"{real}/.", node.directory])
        fill(node.directory / "ballast", free)
        yield node.directory / "ballast"
    finally:
        processes.end(processes.members("none", node.directory))
        processes.run(["umount", "--lazy", node.directory], check=False)
        node.directory.rmdir()
        real.rename(node.directory)


@contextmanager
def full_disk(path: Path, *, size: int = 16 << 20, free: int = 0) -> Iterator[Path]:
    """Mount a file system of `size` bytes at an empty or new directory, all but `free` used.

    The name of what is mounted has a blank, as that of a share of Windows may.
    """
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise LabError(f"{path} is not empty: what it holds would be hidden")
    _mount(path, size)
    try:
        shutil.chown(path, "postgres", "postgres")
        fill(path / "ballast", free)
        yield path
    finally:
        processes.run(["umount", "--lazy", path])


def _mount(path: Path, size: int) -> None:
    options = f"size={size},mode=0700"
    argv = ["mount", "-t", "tmpfs", "-o", options, "//lab/My Share", path]
    done = processes.run(argv, check=False)
    if done.returncode != 0:
        raise LabError(
            f"no file system can be mounted at {path}",
            detail=done.stderr.strip(),
            hint="A full disk is made of a tmpfs: in a container, run with CAP_SYS_ADMIN.",
        )


def fill(ballast: Path, free: int) -> None:
    """Use up all but so many bytes of the file system that a file lies on."""
    ballast.unlink(missing_ok=True)
    space = os.statvfs(ballast.parent)
    size = space.f_bavail * space.f_frsize - free
    if size > 0:
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def _signal(node: PostgresNode, number: signal.Signals) -> list[int]:
    pid = node.pid
    if pid is None:
        raise LabError(f"PostgreSQL of {node.name} does not run")
    pids = [pid, *processes.children(pid)]
    for each in pids:
        processes.send(each, number)
    return pids
