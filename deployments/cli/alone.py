"""Running without any Prefect server: in this process, with the person at this terminal."""

from __future__ import annotations

import json
import sys
from uuid import uuid4

from rich.console import Console

from deployments.cli.gates import NamedGate, TerminalGate
from deployments.cli.request import Request
from deployments.cli.runbooks import load
from deployments.cli.screen import Screen
from deployments.cli.summary import as_record, show_summary
from deployments.cli.terminal import Terminal, say
from runbook.approval import Gate
from runbook.drive import Result

_INTERRUPTED = "Interrupted: what was at work has been ended. Start again to go on from here."


def carry_out(request: Request) -> None:
    """Plan, or plan, ask and act; show everything, and the result at the end."""
    console = Terminal(stderr=request.as_json, acts=request.go)
    try:
        result = _conducted(request, console)
    except KeyboardInterrupt:
        say(_INTERRUPTED)
        raise
    if request.as_json:
        json.dump(as_record(result), sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif request.go:
        show_summary(console, result)
    else:
        console.print("This was a dry run: nothing was changed. --go acts.", style="bold")


def _conducted(request: Request, console: Console) -> Result:
    run = uuid4().hex
    with Screen(console) as screen:
        return load(request.runbook).conduct(
            request.complete, gate=_gate(run, request, screen), watcher=screen, run_id=run
        )


def _gate(run: str, request: Request, screen: Screen) -> Gate:
    if request.approve_by:
        return NamedGate(run, request.approval)
    return TerminalGate(run, screen.console, screen.meter, request.reason)
