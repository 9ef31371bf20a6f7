"""pg_basebackup, as the page types it."""

from __future__ import annotations

from runbook.hosts import Command
from runbook.tools import libpq


def page(
    program: str,
    directory: str,
    *,
    user: str,
    address: str,
    port: int,
    login: str,
    label: str,
    fast_checkpoint: bool,
    max_rate: str,
    passfile: str,
) -> Command:
    """Take a backup in the documented format: gzipped tars with the WAL inside.

    Ref.: PostgreSQL documentation, pg_basebackup; page "Single postgres instance: Backup"
    """
    argv = (
        *(program, "-h", address, "-p", str(port), "-U", login, "-w"),
        *("-F", "tar", "-z", "-X", "fetch"),
        *("-c", "fast" if fast_checkpoint else "spread"),
        *(("-r", max_rate) if max_rate else ()),
        *(("-l", label) if label else ()),
        *("-D", directory),
    )
    return Command(argv, user=user, passfile=passfile, leashed=True)


def standby(
    program: str,
    directory: str,
    *,
    user: str,
    address: str,
    port: int,
    login: str,
    max_rate: str,
    passfile: str,
) -> Command:
    """Copy a running server into an empty directory, with what makes a standby of it.

    Ref.: PostgreSQL documentation, pg_basebackup; page "PKS Standby failover setup"
    """
    argv = (
        *(program, "-R", "-D", directory, "-F", "plain", "-X", "stream", "-c", "fast"),
        *("-h", address, "-p", str(port), "-U", login, "-w"),
        *(("-r", max_rate) if max_rate else ()),
    )
    return Command(argv, user=user, env=libpq.ENV, passfile=passfile, leashed=True)
