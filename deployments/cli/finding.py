"""One line of a check: what was tried, where, how it went, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from runbook.errors import RunbookError
from runbook.hosts import Host


@dataclass(frozen=True)
class Finding:
    """One line of the report; `seen` is what was found, `hint` what to do about it.

    `gravity` is for what works and still wants to be known.
    """

    where: str
    what: str
    ok: bool
    seen: str = ""
    hint: str = ""
    gravity: Literal["", "note", "warning"] = ""


def tried(where: str, what: str, look: Callable[[], str]) -> Finding:
    """Do one thing; an error of ours becomes a line with its hint."""
    try:
        return Finding(where, what, ok=True, seen=look())
    except RunbookError as error:
        return failed(where, what, error)


def failed(where: str, what: str, error: RunbookError) -> Finding:
    """Make the line for something that did not work."""
    seen = error.message if not error.detail else f"{error.message}: {error.detail}"
    return Finding(where, what, ok=False, seen=seen, hint=error.hint)


def reached(where: str, host: Host, lost: set[Host]) -> Finding:
    """Go to a host: its key must be known and its login must be let in; else it is `lost`."""
    what = "the host is reached, its key is known, the login is let in"
    if host in lost:
        return not_tried(where, what, host)
    found = tried(where, what, lambda: f"{host.way}; {host.read('uname', '-sr').strip()}")
    if not found.ok:
        lost.add(host)
    return found


def not_tried(where: str, what: str, host: Host) -> Finding:
    """Make the line for what needs a host that another line tells about."""
    return Finding(where, what, ok=False, seen=f"not tried: {host} is not reached")


def has_program(where: str, host: Host, program: str, hint: str) -> Finding:
    """Look for a program on a host."""
    found = host.holds("sh", "-c", 'command -v "$1"', "which", program)
    return Finding(where, f"{program} is there", ok=found, hint="" if found else hint)
