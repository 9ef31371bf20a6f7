"""Runs that wait for a person, and the answers to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.server import reach_server
from deployments.cli.settings import JsonOption

if TYPE_CHECKING:
    from deployments.answers import Waiting

_UNIQUE_START = 13
"""Characters of a run's id that hold the millisecond it was made in: enough to tell it apart."""


def pending(*, as_json: JsonOption = False) -> None:
    """List the runs that wait for an approval, the one that expires first at the top."""
    reach_server()
    from deployments.answers import pending as waiting_runs

    found = waiting_runs()
    if as_json:
        print(json.dumps([_record(one) for one in found], indent=2, ensure_ascii=False))
    else:
        _show(found)


def approve(
    run: Annotated[str, typer.Argument(help="Id of the run, or how it begins.", metavar="RUN")],
    *,
    refuse: Annotated[bool, typer.Option("--refuse", help="Say no instead.")] = False,
    approve_by: Annotated[
        str, typer.Option("--approve-by", "--as", help="Your name; asked for at a terminal.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Ticket, or why.")] = "",
    confirm: Annotated[str, typer.Option(help="The cluster's name, to approve.")] = "",
    plan: Annotated[
        str,
        typer.Option(
            help="The plan that you have read, as `pending` or the form names it; needed beside "
            "--approve-by, which shows none.",
            metavar="DIGEST",
        ),
    ] = "",
    key: Annotated[
        Path | None, typer.Option(help="Sign with this SSH key, or the agent's for a public one.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Follow the run to its end.")] = False,
) -> None:
    """Show the plan of a waiting run and answer it; or answer the --plan that was read before."""
    reach_server()
    from rich.console import Console

    from deployments.cli.questions import Given
    from deployments.cli.submitted import ask, conclude, follow_to_end, give

    console, asked = Console(), _chosen(run)
    if plan or (approve_by and not refuse):
        _insist_on(plan, asked)
    if refuse:
        given = Given("refuse", approve_by, reason, "")
    elif approve_by:
        given = Given("approve", approve_by, reason, confirm, key=key)
    else:
        given = ask(asked, console, reason)
    give(asked, given)
    told = f"{asked.name}: your answer is with the run ({given.decision})."
    console.print(told, soft_wrap=True)
    if follow:
        conclude(follow_to_end(asked.run, console), console)


def _insist_on(plan: str, asked: Waiting) -> None:
    """Refused where nobody says which plan was read, or the run asks about another one."""
    from runbook.errors import Refused

    hint = f"Read it: pg-runbooks approve {asked.run}"
    if not asked.digest or len(plan) < len(asked.short_digest):
        raise Refused(
            f"{asked.name}: --plan must name the plan that you have read",
            detail="by 12 characters or more of its SHA-256, as `pending` and the form do; "
            "nothing is shown beside --approve-by",
            hint=hint,
        )
    if not asked.digest.startswith(plan.lower()[: len(asked.digest)]):
        raise Refused(
            f"{asked.name}: it asks about another plan by now",
            detail=f"you have read {plan}; your answer was not given",
            hint=hint,
        )


def _chosen(start: str) -> Waiting:
    """Find the one waiting run whose id begins like this; Refused where it asks nothing."""
    from deployments.answers import pending as waiting_runs
    from deployments.answers import waiting
    from runbook.errors import SettingsError

    found = waiting_runs()
    matching = [one for one in found if start and str(one.run).startswith(start.lower())]
    if len(matching) != 1:
        raise SettingsError(
            f"{len(matching) or 'no'} waiting runs begin with {start!r}",
            detail=f"waiting: {', '.join(str(one.run) for one in found) or 'none'}",
        )
    return waiting(matching[0].run)


def _show(found: tuple[Waiting, ...]) -> None:
    from rich.table import Table

    from deployments.cli.wide import is_narrow, wide_console
    from runbook.units import readable_seconds

    console = wide_console()
    narrow = is_narrow(console)
    if not found:
        console.print("No run waits for an approval.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    waits = () if narrow else ("waiting for",)
    for column in ("run", "runbook", "plan", *waits, "until (UTC)"):
        table.add_column(column, no_wrap=column != "runbook", overflow="fold")
    for one in found:
        run = str(one.run)[:_UNIQUE_START] if narrow else str(one.run)
        until = f"{one.until:{'%m-%d' if narrow else '%Y-%m-%d'} %H:%M}" if one.until else ""
        age = () if narrow else (readable_seconds(one.age_seconds),)
        table.add_row(run, one.name, one.short_digest, *age, until)
    console.print(table)
    console.print("Answer one: pg-runbooks approve RUN")


def _record(one: Waiting) -> dict[str, str | None]:
    return {
        "run": str(one.run),
        "name": one.name,
        "cluster": one.cluster,
        "asked_at": one.asked_at.isoformat(),
        "until": one.until.isoformat() if one.until else None,
        "plan": one.question,
        "plan_digest": one.digest,
    }
