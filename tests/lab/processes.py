"""Run commands as an operating-system user, and end all that a lab has started, by pid."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.lab.errors import LabError

MARK = "PG_RUNBOOKS_LAB"
"""Environment variable that every process of a lab carries; its value is the lab's name."""


def run(
    argv: Sequence[str | Path],
    *,
    user: str | None = None,
    mark: str = "",
    stdin: str | None = None,
    timeout: float = 120,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `user` when given; raise LabError on a non-zero exit."""
    words = [str(word) for word in argv]
    account = _other_account(user)
    done = subprocess.run(
        words,
        input=stdin if stdin is not None else "",
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
        env=environment(user, mark, env or {}),
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if account else None,
    )
    if check and done.returncode != 0:
        what = f"{' '.join(words)!r} ended with exit code {done.returncode}"
        raise LabError(what, detail=(done.stderr.strip() or done.stdout.strip())[-2000:])
    return done


def _other_account(user: str | None) -> pwd.struct_passwd | None:
    account = pwd.getpwnam(user) if user else None
    return account if account and account.pw_uid != os.getuid() else None


def environment(user: str | None, mark: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Build the environment of a lab's process: ours, without PG* and PYTEST*, with the mark."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PYTEST", "SSH_"))}
    env |= {"LC_ALL": "C.UTF-8"}
    if user is not None:
        env |= {"USER": user, "LOGNAME": user, "HOME": pwd.getpwnam(user).pw_dir}
    return env | ({MARK: mark} if mark else {}) | dict(extra)


def until(true: Callable[[], bool], what: str, *, within: float = 60, every: float = 0.02) -> None:
    """Wait until a thing is true; raise LabError when it is not within so many seconds."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise LabError(f"waited {within:g} s in vain until {what}")
        time.sleep(every)


def alive(pid: int) -> bool:
    """Tell whether a process exists and is not a zombie."""
    return _stat(pid)[0] not in "ZX"


def exists(pid: int) -> bool:
    """Tell whether a process exists, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's state and its parent's pid; state X and parent 0 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ("X", "0")
    state, parent, *_ = [*text.rpartition(")")[2].split(), "X", "0"]  # empty while it ends
    return (state, parent)


def children(pid: int) -> list[int]:
    """List all descendants of a process, parents first."""
    return _descendants([pid])


def _descendants(pids: Iterable[int]) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in _pids():
        parents.setdefault(_parent(entry), []).append(entry)
    found = [child for pid in pids for child in parents.get(pid, [])]
    for child in found:
        found.extend(parents.get(child, []))
    return found


def members(mark: str, *directories: Path) -> list[int]:
    """List the processes of a lab: marked, at work in its directories, or naming them; and theirs.

    sshd overwrites its environment and leaves its directory, but names its configuration.
    """
    wanted = f"{MARK}={mark}".encode()
    prefixes = tuple(f"{directory}/".encode() for directory in directories)
    mine = set(_ancestors())
    found = {pid for pid in _pids() if pid not in mine and _belongs(pid, wanted, prefixes)}
    return sorted({*found, *_descendants(found)} - mine)


def _belongs(pid: int, mark: bytes, prefixes: tuple[bytes, ...]) -> bool:
    entry = Path(f"/proc/{pid}")
    try:
        line = (entry / "cmdline").read_bytes()
        return alive(pid) and (
            any(prefix in line for prefix in prefixes)
            or os.fsencode((entry / "cwd").readlink()).startswith(prefixes)
            or mark in (entry / "environ").read_bytes().split(b"\0")
        )
    except OSError:
        return False


def _ancestors() -> list[int]:
    found = [os.getpid()]
    while (parent := _parent(found[-1])) > 1:
        found.append(parent)
    return found


def end(pids: Iterable[int], *, within: float = 5) -> None:
    """End processes: asked first (PostgreSQL by SIGQUIT), killed when they do not listen."""
    left = [pid for pid in pids if alive(pid)]
    for pid in left:
        send(pid, signal.SIGQUIT if _is_postgres(pid) else signal.SIGTERM)
        send(pid, signal.SIGCONT)
    deadline = time.monotonic() + within
    while (left := [pid for pid in left if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may already be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
