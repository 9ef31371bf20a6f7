"""Keeping the record safe: copies in a store, signatures over the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.settings import InventoryOption, looked_at, tell_left_out, use

if TYPE_CHECKING:
    from runbook.audit.chain import Finding
    from runbook.audit.mirror import Mirror
    from runbook.audit.settings import AuditCopy
    from runbook.errors import RunbookError


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(mirror)
    app.command()(anchor)
    app.command()(justify)


def mirror(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was recorded before there was a copy.")
    ] = False,
    inventory: InventoryOption = None,
) -> None:
    """Copy to the audit stores what they lack: after a store has failed, or for the first time."""
    from runbook.audit.index import RunsIndex
    from runbook.errors import RunbookError, SettingsError
    from runbook.places import state_directory

    audit = state_directory() / "audit"
    wanted, failed = _copies(inventory)
    if not wanted and not failed:
        raise SettingsError("no cluster names an audit store", hint="Set audit.store of a cluster.")
    RunsIndex(audit).settle()
    for settings in wanted:
        try:
            print(_copied(audit, settings, everything=everything))
        except RunbookError as error:
            failed[settings.store] = error
    tell_left_out(failed, "copied")
    if failed:
        raise typer.Exit(1)


def _copied(audit: Path, settings: AuditCopy, *, everything: bool) -> str:
    """Copy what a store lacks; tell how much that was, and what is left."""
    copy = _mirror(audit, settings)
    copy.expect(*([path.stem for path in audit.glob("*.jsonl")] if everything else ()))
    done = copy.catch_up()
    locked = ", locked there" if done.locked else ""
    left = len(copy.waiting())
    return f"{settings.store}: {done.pieces} pieces, {done.size} bytes{locked}; {left} open"


def anchor(
    *,
    key: Annotated[Path, typer.Option(help="SSH key: private, or public with an agent.")],
) -> None:
    """Sign the index of runs as it stands; `verify` then tells the newest signed point."""
    from runbook.audit.anchor import anchor as sign
    from runbook.places import state_directory

    path = sign(state_directory() / "audit", key)
    print(f"{path}: signed; the signature is {path.name}.sig beside it")


def justify(
    run: Annotated[str, typer.Argument(help="Id of the run.", metavar="RUN")],
    *,
    reason: Annotated[str, typer.Option(help="What the emergency was.")],
    by: Annotated[str, typer.Option("--as", help="Your name in the approval policy.")],
    key: Annotated[
        Path | None, typer.Option(help="Sign with this SSH key; else a one-time code is asked for.")
    ] = None,
    inventory: InventoryOption = None,
) -> None:
    """Justify an emergency approval afterwards, on the worker that keeps its record."""
    use(inventory)
    from blocks.load import load_cluster, load_policy
    from deployments.cli.questions import justification
    from runbook.approvers.justification import justify as enter
    from runbook.approvers.justification import plan_of_emergency
    from runbook.approvers.ledger import Ledger, path_of
    from runbook.places import state_directory

    state = state_directory()
    plan = plan_of_emergency(state / "audit", run)
    policy = load_policy(load_cluster(plan.cluster).approval.policy)
    answer = justification(run, plan, by=by, reason=reason, key=key)
    enter(state / "audit", Ledger(path_of(state, policy.name)), policy, run, answer)
    print(f"{plan.runbook} on {plan.cluster}, run {run}: justified by {by}")


def compared(audit: Path, store: str, inventory: Path | None) -> list[Finding]:
    """Hold the folder against its copy in a store."""
    from runbook.audit.comparison import compared as held_against
    from runbook.audit.settings import AuditCopy

    copies, failed = _copies(inventory)
    known = [each for each in copies if each.store == store]
    for error in () if known else failed.values():
        raise error  # it may be the one that tells how that store is used
    settings = known[0] if known else AuditCopy(store=store)
    return list(held_against(_mirror(audit, settings)))


def _copies(inventory: Path | None) -> tuple[list[AuditCopy], dict[str, RunbookError]]:
    """Give every audit store that the settings name, once, and whose cannot be used."""
    clusters, failed = looked_at("", use(inventory))
    return list(dict.fromkeys(each.audit for each in clusters if each.audit is not None)), failed


def _mirror(audit: Path, settings: AuditCopy) -> Mirror:
    from blocks.load import load_store
    from runbook.audit.mirror import Mirror

    store = load_store(settings.store)
    return Mirror(audit, settings, store.open)
