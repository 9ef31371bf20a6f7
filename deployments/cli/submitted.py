"""Running through the Prefect server: order a run of the deployment, and follow it."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from uuid import UUID

import httpx
import typer
from rich.console import Console
from rich.text import Text

from deployments.answers import Waiting, answer, waiting
from deployments.cli.listener import Listener
from deployments.cli.questions import Given, ask_person, statement
from deployments.cli.request import Request
from deployments.cli.screen import show_page
from deployments.cli.terminal import Terminal
from deployments.orders import Standing, Told, order, standing, ui_address
from flows._watch import page_text

FAILED, REFUSED = 1, 3


def submit(request: Request) -> None:
    """Order the run and follow it to its end; exit 1 when it failed, 3 when it was refused."""
    console = Terminal(stderr=request.as_json, acts=request.go)
    run = order(request.runbook, request.cluster, request.complete)
    console.print(f"run {run}: {ui_address(run)}", soft_wrap=True, highlight=False)
    try:
        ended = follow_to_end(run, console, request)
    except KeyboardInterrupt:
        console.print(f"No longer followed. {_way_on(run)}", soft_wrap=True)
        raise
    if not request.go and ended.completed:
        _show_plan(run, console)
    if request.as_json:
        record = {"run": str(run), "state": ended.state, "message": ended.message}
        more = {"completed": ended.completed, "plan": _page(run, "plan")}
        print(json.dumps({**record, **more}, indent=2, ensure_ascii=False))
    conclude(ended, console)


def _page(run: UUID, kind: str) -> str:
    """Give a page of a run that has ended; empty, too, where the server does not answer by now."""
    with suppress(httpx.HTTPError):
        return page_text(run, kind)
    return ""


def _show_plan(run: UUID, console: Console) -> None:
    if page := _page(run, "result"):
        show_page(console, page)
    else:
        told = f"The server does not give the page of this plan. Look here: {ui_address(run)}"
        console.print(told, soft_wrap=True, highlight=False)


def _way_on(run: UUID) -> str:
    """Tell how a run is answered or ended that is no longer followed.

    One that waits is refused: cancelled, it would leave what it has made ready.
    """
    with suppress(httpx.HTTPError):
        if standing(run).waiting:
            command = f"pg-runbooks approve {run}"
            return f"It waits; answer: {command}, or refuse: {command} --refuse"
    return f"Run {run} goes on; cancel it in the Prefect UI."


def follow_to_end(run: UUID, console: Console, request: Request | None = None) -> Standing:
    """Follow a run to its end; when it asks, answer as the options or the person say."""

    def tell(line: Told) -> None:
        style = "bold red" if line.level >= logging.ERROR else "dim"
        console.print(Text(f"{line.at:%H:%M:%S} {line.text}", style=style), soft_wrap=True)

    listener = Listener(tell)
    beforehand = request.approval if request is not None and request.approve_by else None
    while not (now := listener.follow(run)).final:
        if beforehand is not None:
            give(waiting(run), beforehand)
            beforehand = None
        elif console.is_terminal:
            asked = waiting(run)
            give(asked, ask(asked, console))
        else:
            console.print(f"It waits for an approval: pg-runbooks approve {run}", soft_wrap=True)
            return listener.follow(run, until_waiting=False)
    return now


def ask(asked: Waiting, console: Console, reason: str = "") -> Given:
    """Show what a run asks, and read the answer.

    Where it is to be proven, the plan is written from the very value that is signed.
    """
    show_page(console, asked.question)
    if asked.is_proven and asked.plan:
        show_page(console, asked.plan.markdown())
    return ask_person(
        console,
        asked.cluster,
        about=asked.name,
        reason=reason,
        is_proven=asked.is_proven,
        plan=asked.short_digest,
    )


def give(asked: Waiting, given: Given) -> None:
    """Answer a waiting run, signed where a key was given."""
    signature = ""
    if given.key and asked.plan:
        signature = given.signed(statement(str(asked.run), asked.key, asked.plan, given))
    answer(
        asked.run,
        given.decision,
        question=asked.key,
        approver=given.approver,
        reason=given.reason,
        confirm=given.confirm,
        code=given.code,
        signature=signature,
    )


def conclude(ended: Standing, console: Console) -> None:
    """Tell how a run ended and exit accordingly."""
    style = "green" if ended.completed else "red"
    why = "as told above" if ended.is_told else ended.message
    console.print(Text(f"{ended.state}: {why}", style=style), soft_wrap=True)
    if not ended.completed:
        raise typer.Exit(REFUSED if ended.state == "Cancelled" else FAILED)
