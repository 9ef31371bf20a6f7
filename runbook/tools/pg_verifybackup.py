"""pg_verifybackup: PostgreSQL's own judge of a backup."""

from __future__ import annotations

from runbook.hosts import Command


def verify(program: str, directory: str, *, user: str) -> Command:
    """Hold an unpacked backup against its manifest, and parse its WAL.

    Ref.: PostgreSQL documentation, pg_verifybackup
    """
    argv = (program, "--exit-on-error", "--quiet", directory)
    return Command(argv, user=user, leashed=True)
