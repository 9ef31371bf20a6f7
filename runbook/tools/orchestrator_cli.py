"""orchestrator-cli, the vendor's program on the Orchestrator."""

from __future__ import annotations

import shlex

from runbook.hosts import Command

_SSH_SECONDS = 120.0


def backup(program: str, *, config: str, user: str) -> Command:
    """Write orchestrator_backup_${TIMESTAMP}.tgz: release, database, configuration and metadata.

    Ref.: Apcera, Automated Orchestrator backup procedure (Orchestrator 0.5.3 and later)
    """
    return Command((program, "backup", "--config", config), user=user, leashed=True)


def restore(program: str, *, file: str, user: str) -> Command:
    """Make this machine the Orchestrator of a backup.

    Ref.: Apcera, Automated Orchestrator backup procedure (release 2.4.0 and later)
    """
    return Command((program, "restore", "--file", file), user=user, leashed=True)


def deploy_dry(program: str, *, config: str, user: str, release: str = "") -> Command:
    """Rehearse a deploy; it writes graph.png into the directory that it is started in.

    With a release it also refreshes what a reboot has removed from /tmp.

    Ref.: Apcera, Orchestrator DB restore procedure, steps 5 and 7; Troubleshooting
    """
    how = ("-c", config, "--dry", "--release", release) if release else ("--dry", "-c", config)
    return Command((program, "deploy", *how), user=user, leashed=True)


def ssh(program: str, *, user: str, number: int) -> Command:
    """Log into a node of the cluster, by its number in the program's list, and out again.

    Ref.: Apcera, Orchestrator DB restore procedure, step 8
    """
    said = f"printf '{number}\\nexit 0\\n'"
    script = f'{said} | "$1" ssh'
    shown = f"{said} | {shlex.quote(program)} ssh"
    argv = ("sh", "-c", script, program.rpartition("/")[2], program)
    return Command(argv, user=user, leashed=True, timeout=_SSH_SECONDS, shown=shown)
