"""People who may approve: who they are, new secrets and emergency codes, unlocking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.settings import InventoryOption, JsonOption, use

if TYPE_CHECKING:
    from runbook.approvers.ledger import Ledger
    from runbook.approvers.policy import ApprovalPolicy

app: typer.Typer = typer.Typer(no_args_is_help=True, help="People who may approve.")
PolicyArgument = Annotated[str, typer.Argument(help="Name of the policy.", metavar="POLICY")]
PersonArgument = Annotated[str, typer.Argument(help="Name of the person.", metavar="PERSON")]


@app.callback()
def approvers() -> None:
    """People who may approve."""


@app.command("list")
def show(
    policy: PolicyArgument, *, inventory: InventoryOption = None, as_json: JsonOption = False
) -> None:
    """Show who may approve, how each proves it, who is locked, and which seals are left."""
    use(inventory)
    from runbook.approvers.ledger import failures, is_locked

    found, entries = _policy(policy), _ledger(policy).entries()
    people = [
        {
            "person": name,
            "proves by": ", ".join(found.proofs(name)),
            "wrong codes": str(failures(entries, name)),
            "locked": "locked" if is_locked(entries, name) else "",
        }
        for name in found.people
    ]
    left = len(set(found.seals) - {entry.token for entry in entries})
    if as_json:
        print(json.dumps({"people": people, "seals": len(found.seals), "seals left": left}))
        return
    _show(people)
    print(f"Emergency codes: {left} of {len(found.seals)} are unused.")


@app.command()
def enroll(person: PersonArgument) -> None:
    """Make a secret of one-time codes for a person's authenticator app."""
    from runbook.approvers.one_time_code import address, new_secret

    secret = new_secret()
    print(f"For the app of {person}: {address(secret, person)}")
    print(f"For the secret store, referred to as totp.{person} in the inventory: {secret}")
    print("Neither is kept here. Let nobody else see them.")


@app.command()
def seal() -> None:
    """Make an emergency code for an envelope, and the hash that the policy keeps of it."""
    from runbook.approvers.seal import new_code, sealed

    code = new_code()
    print(f"For the envelope: {code}")
    print(f"For `seals` of the policy: {sealed(code)}")
    print("The code is not kept here. It opens one run, loudly, whoever types it.")


@app.command()
def unlock(policy: PolicyArgument, person: PersonArgument) -> None:
    """Let the codes of a person count again, on the worker where they were locked."""
    from runbook.approvers.ledger import is_locked
    from runbook.errors import Refused
    from runbook.user import operating_system_user

    ledger = _ledger(policy)
    if not is_locked(ledger.entries(), person):
        raise Refused(f"{person} is not locked in policy {policy} on this machine")
    ledger.unlock(person, by=operating_system_user())
    print(f"{person} may approve with one-time codes again.")


def _policy(name: str) -> ApprovalPolicy:
    from blocks.load import load_policy

    return load_policy(name)


def _ledger(policy: str) -> Ledger:
    from runbook.approvers.ledger import Ledger, path_of
    from runbook.places import state_directory

    return Ledger(path_of(state_directory(), policy))


def _show(people: list[dict[str, str]]) -> None:
    from rich.table import Table

    from deployments.cli.wide import wide_console

    table = Table(box=None, header_style="bold")
    for column in people[0]:
        table.add_column(column)
    for row in people:
        table.add_row(*row.values())
    wide_console().print(table)
