"""The standby's login on the primary, tried from the standby as it will be used."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.postgres.access import Visit, by_rules
from runbook.postgres.login import address_seen
from runbook.postgres.passfile import line_for
from runbook.standby.setup import StandbySetup
from runbook.tools import libpq

# What libpq says, in the C locale, when no server has spoken to it.
_SILENT = (
    "Connection refused",
    "timeout expired",
    "timed out",
    "No route to host",
    "Network is unreachable",
    "could not translate host name",
    "Connection reset by peer",
    "server closed the connection",
)


@dataclass(frozen=True)
class Answer:
    """What the standby met: the system it got into, or what it was told instead."""

    system_identifier: str = ""
    refused: str = ""

    @property
    def reached(self) -> bool:
        """Tell whether a server answered at all."""
        return not any(words in self.refused for words in _SILENT)

    @property
    def by_rules(self) -> bool:
        """Tell whether pg_hba.conf turned it away."""
        return by_rules(self.refused)


def knock(setup: StandbySetup, password: str) -> Answer:
    """Log in to the primary from the standby's place, over its network, and leave again."""
    conninfo = make_conninfo(
        host=setup.primary.address,
        port=str(setup.primary.port),
        user=setup.user,
        replication="true",
    )
    argv = (setup.standby.program("psql"), "-X", "-q", "-A", "-t", "-w", "-d", conninfo)
    command = Command(
        (*argv, "-c", "IDENTIFY_SYSTEM"),
        user=setup.standby.server_user,
        env=libpq.ENV,
        passfile=line_for(setup.user, password) if password else "",
        timeout=60,
    )
    done = setup.standby.workshop().attempt(command)
    if done.exit_code == 0:
        return Answer(system_identifier=done.stdout.partition("|")[0].strip())
    if done.exit_code != 2:
        raise setup.standby.workshop().failed(command, done.exit_code, done.stderr)
    return Answer(refused=done.stderr.strip())


def visit(setup: StandbySetup, answer: Answer) -> Visit:
    """Give the login as the primary sees it: from the address that it has named.

    Through a container's network that may be another one than the standby's own.
    """
    return Visit(
        user=setup.user,
        address=address_seen(answer.refused if answer.by_rules else "", setup.standby.address),
        method=setup.cluster.replication.method,
        has_password=True,
    )


def insist_on_welcome(setup: StandbySetup, answer: Answer) -> None:
    """Refuse what no rule in pg_hba.conf could mend."""
    there = f"{setup.primary.address} port {setup.primary.port}"
    if answer.system_identifier not in ("", setup.system_identifier):
        raise CheckFailed(
            f"{there}, as seen from {setup.standby}, is not {setup.primary}",
            detail=f"system {answer.system_identifier} answers there, "
            f"{setup.primary} is {setup.system_identifier}",
            hint=f"Correct the address of node {setup.primary} in the inventory: the copy is taken "
            "from the primary, never from the standby itself.",
        )
    if answer.refused and not answer.reached:
        raise CheckFailed(
            f"{setup.standby} does not reach {setup.primary} at {there}",
            detail=answer.refused,
            hint="Check the address of the primary in the inventory, listen_addresses, "
            "the container's published port, and firewalls between.",
        )
    if answer.refused and not answer.by_rules:
        raise CheckFailed(
            f"{setup.primary} does not accept the login {setup.user} from {setup.standby}",
            detail=answer.refused,
            hint="If it is the password: it is another one than replication_password in the "
            "settings, and never changed here, because others may use it. Correct the settings, "
            "or name another role (replication.user).",
        )
