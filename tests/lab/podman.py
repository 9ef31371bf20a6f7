"""podman, with the settings that systemd in a container needs, in a file of the lab's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

from tests.lab.cache import cache
from tests.lab.errors import LabError
from tests.lab.processes import environment

_SETTINGS = """\
[containers]
# Without these: setrlimit ... Operation not permitted.
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
# crun refuses hybrid cgroups.
runtime = "runc"
"""


def podman(
    *arguments: str | Path,
    mark: str = "",
    check: bool = True,
    stdin: IO[bytes] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Run podman; raise LabError on a non-zero exit."""
    env = environment(None, mark, {"CONTAINERS_CONF": str(_settings())})
    try:
        done = subprocess.run(
            ["podman", *map(str, arguments)],
            capture_output=True,
            timeout=timeout,
            check=False,
            env=env,
            stdin=stdin or subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise LabError("podman is missing", hint="python -m tests.lab install") from error
    if check and done.returncode != 0:
        raise LabError(
            f"podman {arguments[0]} ended with exit code {done.returncode}",
            detail=done.stderr.decode().strip()[-2000:],
        )
    return done


def _settings() -> Path:
    """Write the settings where they stay: conmon runs podman again when a container ends."""
    path = cache() / "containers.conf"
    if not path.exists() or path.read_text() != _SETTINGS:
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(_SETTINGS)
        draft.replace(path)
    return path


def lines(*arguments: str | Path) -> list[str]:
    """Run podman and return the lines it printed."""
    return podman(*arguments).stdout.decode().split("\n")[:-1]


def remove(prefix: str) -> None:
    """Remove all containers, volumes and networks whose names start with a prefix."""
    for kind in ("container", "volume", "network"):
        named = {"container": "{{.Names}}"}.get(kind, "{{.Name}}")
        listed = ("--all",) if kind == "container" else ()
        names = lines(kind, "ls", *listed, "--format", named)
        for name in (n for n in names if n.startswith(prefix)):
            flags = ("--force", "--time", "0") if kind != "volume" else ("--force",)
            podman(kind, "rm", *flags, name)
