"""Secrets of a BOSH platform, read from CredHub by its own program.

Ref.: credhub-cli, `credhub get --help`
"""

from __future__ import annotations

import subprocess

from runbook.errors import SettingsError

_SECONDS = 30
_SHOWN = 300


def credential(name: str) -> str:
    """Give the value of a credential; the program must be logged in where the inventory is read."""
    if not name or name.startswith("-"):
        raise SettingsError(f"{name!r} is no name of a credential in CredHub")
    argv = ("credhub", "get", "--quiet", "--name", name)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unread(name, f"{type(error).__name__}: {error}") from error
    value = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0 or not value:
        said = done.stderr.decode(errors="replace").strip() or "nothing"
        raise _unread(name, f"exit code {done.returncode}: {said[-_SHOWN:]}")
    return value


def _unread(name: str, why: str) -> SettingsError:
    return SettingsError(
        f"credhub does not give {name}",
        detail=f"credhub get --quiet --name {name}: {why}",
        hint="Is it installed and logged in (`credhub login`) where the inventory is read?",
    )
