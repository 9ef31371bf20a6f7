"""What the programs that connect to PostgreSQL are told by their environment."""

from __future__ import annotations

from dataclasses import replace

from runbook.hosts import Command

NAME = ("PGAPPNAME", "pg-runbooks")

ENV = (("PGCONNECT_TIMEOUT", "10"), NAME, ("LC_ALL", "C"))
"""Patience with the connection, what its sessions are called, and the language of its errors."""

_OPTIONS = "PGOPTIONS"


def patience(seconds: float) -> tuple[str, str]:
    """Set aside what the server, a database or a role sets for applications.

    What outlives its time here ends on the server, too: a rename must not happen later. 0: never.

    Ref.: PostgreSQL documentation, libpq, environment variables
    """
    return _OPTIONS, f"-c statement_timeout={round(seconds * 1000)} -c lock_timeout=0"


def without_waiting(command: Command) -> Command:
    """Let a command wait for no synchronous standby: they stand still, and it would for ever.

    Ref.: PostgreSQL documentation, synchronous_commit
    """
    env = dict(command.env)
    said = env.get(_OPTIONS, "")
    env[_OPTIONS] = f"{said} -c synchronous_commit=local".strip()
    return replace(command, env=tuple(env.items()))
