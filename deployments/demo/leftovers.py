"""The demo's processes, found by what they left in its folder, and their sure end."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from deployments.demo import application

LOCK = ".lock"
HERE = "here"
"""The name that this machine has in the demo's inventory."""
_PATIENCE_SECONDS = 20.0


def end_processes(folder: Path) -> None:
    """End application and PostgreSQL, whatever state a restore has left them in."""
    application.stop(folder / "application")
    for pid_file in (folder / "postgresql").glob("*/postmaster.pid"):
        _end_server(pid_file)


def clear(folder: Path) -> None:
    """End what a demo that was killed has left running, and remove all but the lock."""
    from deployments.children import end_left_behind

    end_left_behind(folder / "control-room")
    end_processes(folder)
    for path in folder.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_host_lock(cluster: str) -> None:
    """Remove what runs leave outside the demo's folder: their lock on the host, with its marks."""
    from runbook.host_lock import host_lock_path
    from runbook.hosts import Host

    path = Path(host_lock_path(Host(name=HERE), cluster))
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def _end_server(pid_file: Path) -> None:
    """Stop a PostgreSQL server: fast first, at once if that takes too long."""
    lines = pid_file.read_text().splitlines()
    if len(lines) < 2 or not lines[0].isdigit():
        return
    pid, until = int(lines[0]), time.monotonic() + _PATIENCE_SECONDS
    number = signal.SIGINT
    while _works_in(pid, pid_file.parent):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if time.monotonic() > until:
            number = signal.SIGQUIT
        time.sleep(0.1)


def _works_in(pid: int, directory: Path) -> bool:
    """Tell whether a server with that number works in the directory; numbers are used again."""
    process = Path(f"/proc/{pid}")
    try:
        return (process / "cwd").readlink() == directory.resolve()
    except PermissionError:
        # Root of a container may not look there; a command line is everybody's to read.
        return os.fsencode(directory) in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
