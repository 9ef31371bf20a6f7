"""A way to a host of the loopback lab, and what to say to its shell."""

from __future__ import annotations

from runbook.hosts import Command, Ssh
from tests.lab.sshd import Host as LabHost


def ssh_to(machine: LabHost, user: str = "root", **more: object) -> Ssh:
    """Give the way to a machine; `more`: other settings of it."""
    return Ssh.model_validate({**machine.way(user), **more})


def sh(script: str, **more: object) -> Command:
    """Give a command of a line for a shell."""
    return Command(("sh", "-c", script), **more)  # type: ignore[arg-type]
