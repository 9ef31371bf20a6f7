"""Whom the primary's commits wait for; a setting that means others, too, is left to them."""

from __future__ import annotations

from runbook import check, ensure, fact
from runbook.actions import Action
from runbook.standby import proof, synchronous
from runbook.standby.setup import StandbySetup
from tasks._task import task


def fit(setup: StandbySetup, *, wanted: bool) -> None:
    """Tell whom commits wait for, now and afterwards, and insist on what this standby allows."""
    now = synchronous.waiting(setup)
    primary, standby = setup.primary, setup.standby
    if wanted:
        fact(
            "SYNCHRONOUS",
            f"every commit on {primary} waits for {standby}; while {standby} is down, EVERY COMMIT "
            "HANGS until ALTER SYSTEM SET synchronous_standby_names = '' and a reload",
        )
    elif now.shared:
        fact("SYNCHRONOUS", f"'{now.setting}' on {primary}, and stays so")
    elif now.meant:
        fact("SYNCHRONOUS", f"SWITCHED OFF on {primary}: it was '{now.setting}'")
    check(
        "synchronous mode belongs to nobody else",
        lambda: not (wanted and now.shared),
        seen=lambda: now.told,
        hint="Start again with synchronous=false: the setting stays as it is. Where it lacks "
        f"{standby}, add it by hand afterwards.",
    )
    _others_suffice(setup)


@task("let no commit wait for {setup.standby}")
def release(setup: StandbySetup) -> None:
    """See that the primary goes on while the standby is down."""
    _others_suffice(setup)
    ensure(
        f"no commit on {setup.primary} waits while {setup.standby} is down",
        holds=lambda: setup.in_place() or not synchronous.waiting(setup).hangs,
        by=lambda: _letting_go(setup),
        within=15,
    )


@task("set synchronous mode on {setup.primary}")
def synchronous_mode(setup: StandbySetup, *, wanted: bool) -> None:
    """See that commits wait for the standby, or that none waits for it alone."""
    if not wanted:
        ensure(
            f"no commit on {setup.primary} waits for {setup.standby} alone",
            holds=lambda: not _is_ours(setup),
            by=lambda: _letting_go(setup),
            within=15,
        )
        return
    ensure(
        f"every commit on {setup.primary} waits for {setup.standby}",
        holds=lambda: _is_synchronous(setup),
        by=lambda: synchronous.change(setup.primary, synchronous.only(setup.standby.name)),
        within=30,
    )


def _others_suffice(setup: StandbySetup) -> None:
    """Insist that a setting which is not ours to change lets commits go on without this standby."""
    now = synchronous.waiting(setup)
    check(
        f"commits on {setup.primary} go on while {setup.standby} is down",
        lambda: not (now.shared and now.hangs),
        unless=setup.in_place,
        seen=lambda: now.told,
        hint="It names others, and is not changed here. Until this has ended, let commits wait for "
        f"them alone, or for nobody; on {setup.primary}: ALTER SYSTEM SET "
        "synchronous_standby_names = ''; SELECT pg_reload_conf(); set it back afterwards.",
    )


def _is_ours(setup: StandbySetup) -> bool:
    """Tell whether commits wait for this standby, and the setting means no other."""
    now = synchronous.waiting(setup)
    return now.meant and not now.shared


def _letting_go(setup: StandbySetup) -> tuple[Action, ...]:
    return synchronous.change(setup.primary, "") if _is_ours(setup) else ()


def _is_synchronous(setup: StandbySetup) -> bool:
    so = synchronous.names(setup.primary) == synchronous.only(setup.standby.name)
    return so and any(sender.sync_state == "sync" for sender in proof.mine(setup))
