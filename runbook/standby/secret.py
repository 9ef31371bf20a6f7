"""The password of the replication role: from the settings, or generated and kept on the standby.

A generated one is nowhere but in the standby's own password file, mode 0600: the primary has only
its SCRAM verifier.
"""

from __future__ import annotations

import secrets

from runbook.actions import Work
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.postgres.passfile import line_for, password_in
from runbook.standby.setup import PASSFILE, StandbySetup

FIRST_LINES = 'for file; do if [ -e "$file" ]; then head -n 1 "$file"; fi; done'
_WRITE = """umask 077
cp "$PGPASSFILE" "$1.new" && sync "$1.new" && mv "$1.new" "$1"
"""


def known(setup: StandbySetup) -> str:
    """Give the password that the settings or the standby's password file have; else nothing."""
    return setup.cluster.replication_password.get_secret_value() or _kept(setup)


def is_kept(setup: StandbySetup) -> bool:
    """Tell whether the standby has the password that is to be used, staged for a copy."""
    staged = _read(setup, setup.standby, setup.staged_secret)
    return bool(staged) and staged == known(setup)


def keep(setup: StandbySetup) -> Work:
    """Write the password file of the copy, with a password of its own where none is known."""
    line = f"write the password of {setup.user} into {setup.staged_secret} (mode 0600)"
    return Work(setup.standby.host.name, line, lambda: _keep(setup))


def _keep(setup: StandbySetup) -> str:
    password = known(setup)
    generated = "" if password else secrets.token_urlsafe(32)
    command = Command(
        ("sh", "-c", _WRITE, "write", setup.staged_secret),
        user=setup.standby.os_user,
        passfile=line_for(setup.user, password or generated),
        timeout=60,
    )
    setup.standby.host.run(command)
    return "a generated password is kept there alone" if generated else "the known password"


def _kept(setup: StandbySetup) -> str:
    """Look on the standby, and on a primary that was one before it was promoted."""
    here = (setup.staged_secret, f"{setup.live}/{PASSFILE}")
    there = f"{setup.primary.directory()}/{PASSFILE}"
    return _read(setup, setup.standby, *here) or _read(setup, setup.primary, there)


def _read(setup: StandbySetup, node: Node, *paths: str) -> str:
    """Give the first password of our role that the files have."""
    text = node.host.read("sh", "-c", FIRST_LINES, "first", *paths, user=node.os_user)
    return next(filter(None, (password_in(line, setup.user) for line in text.splitlines())), "")
