"""What a primary needs for a standby: role, settings, rule and slot."""

from __future__ import annotations

from runbook import ensure
from runbook.actions import Action, Execute
from runbook.errors import CheckFailed
from runbook.postgres import access
from runbook.run import current
from runbook.standby import login, requirements, secret
from runbook.standby.copying import RESERVED
from runbook.standby.mark import void_mark
from runbook.standby.role import create, role
from runbook.standby.setup import StandbySetup
from tasks._task import task

_START_SECONDS = 600.0


@task("create the replication role on {setup.primary}")
def replication_role(setup: StandbySetup) -> None:
    """See that the role exists, and that the standby alone has its password."""
    ensure(
        f"the password of {setup.user} lies on {setup.standby}, for its server alone",
        holds=lambda: setup.in_place() or secret.is_kept(setup),
        by=lambda: [secret.keep(setup)],
    )
    ensure(
        f"role {setup.user} may log in to {setup.primary} for replication",
        holds=lambda: _has_role(setup),
        by=lambda: [_creation(setup)],
    )


@task("set on {setup.primary} what replication needs")
def primary_settings(setup: StandbySetup) -> None:
    """See that the primary has room for one more standby; a restart only if it must be."""
    ensure(
        f"{setup.primary} writes enough WAL and has connections and slots for {setup.standby}",
        holds=lambda: setup.in_place() or not _lacking(setup),
        by=lambda: _changing(setup),
        within=_START_SECONDS,
    )


@task("let {setup.standby} in to {setup.primary}")
def access_rule(setup: StandbySetup) -> None:
    """See that the standby can log in: narrowest rule, file kept aside, reload."""
    ensure(
        f"{setup.primary} lets {setup.user} replicate from {setup.standby}",
        holds=lambda: _is_welcome(setup),
        by=lambda: _granting(setup),
        within=15,
    )


@task("reserve slot {setup.slot_name} on {setup.primary}")
def slot(setup: StandbySetup) -> None:
    """See that the primary keeps the WAL that the standby will need."""
    outcome = ensure(
        f"{setup.primary} keeps WAL for {setup.standby} in slot {setup.slot_name}",
        holds=lambda: _is_reserved(setup),
        by=lambda: _reserving(setup),
    )
    if outcome == "done":
        current().memory[RESERVED] = setup.slot_name


def _has_role(setup: StandbySetup) -> bool:
    there = role(setup.primary, setup.user)
    return there is not None and there.replicates


def _creation(setup: StandbySetup) -> Action:
    password = secret.known(setup)
    if not password and not current().planning:
        raise CheckFailed(f"the password of {setup.user} is gone from {setup.staged_secret}")
    return create(setup.primary, setup.user, password or "not yet made")


def _lacking(setup: StandbySetup) -> dict[str, str]:
    return dict(requirements.settings(setup.primary).lacking(setup.primary.address))


def _changing(setup: StandbySetup) -> tuple[Action, ...]:
    """Give nothing where nothing lacks: a plan must not name a restart that will not be."""
    wanted = _lacking(setup)
    return requirements.change(setup.primary, wanted) if wanted else ()


def _is_welcome(setup: StandbySetup) -> bool:
    answer = login.knock(setup, secret.known(setup))
    login.insist_on_welcome(setup, answer)
    return answer.system_identifier == setup.system_identifier


def _granting(setup: StandbySetup) -> tuple[Action, ...]:
    answer = login.knock(setup, secret.known(setup))
    visit = login.visit(setup, answer)
    if not answer.by_rules and access.is_let_in(access.rules(setup.primary), visit):
        return ()
    return access.granting(setup.primary, visit, why=f"standby {setup.standby}")


def _is_reserved(setup: StandbySetup) -> bool:
    found = setup.slot()
    return found is not None and found.restart is not None and found.wal_status != "lost"


def _reserving(setup: StandbySetup) -> tuple[Action, ...]:
    """Give the actions; a copy that was made before a new slot may lack WAL, and is none then."""
    primary, standby, name = setup.primary, setup.standby, setup.slot_name
    void = [
        Execute(standby.host, void_mark(directory, standby.os_user))
        for directory in (setup.live, setup.repl)
        if setup.mark(directory) is not None
    ]
    drop = primary.statement(f"SELECT pg_catalog.pg_drop_replication_slot('{name}')")
    make = primary.statement(
        f"SELECT slot_name FROM pg_catalog.pg_create_physical_replication_slot('{name}', true)"
    )
    old = [Execute(primary.console, drop)] if setup.slot() is not None else []
    return (*void, *old, Execute(primary.console, make))
