"""The program: its commands, and how it ends."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version as installed_version
from types import FrameType
from typing import Annotated, NoReturn

import typer

from deployments.cli import apply, approve, approvers, audit, backups, check, demo, run, up

FAILED = 1
USAGE = 2
REFUSED = 3
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)

app = typer.Typer(
    name="pg-runbooks",
    help="PostgreSQL disaster-recovery runbooks: planned, approved, verified, on record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUNBOOKS = "Runbooks"
_SETTINGS = "Settings"
_CONTROL = "Control room"

run.add_to(app, panel=_RUNBOOKS)
app.command("backups", rich_help_panel=_RUNBOOKS)(backups.backups)
app.command("apply", rich_help_panel=_SETTINGS)(apply.apply)
app.command("check", rich_help_panel=_SETTINGS)(check.check)
app.command("up", rich_help_panel=_CONTROL)(up.up)
app.command("register", rich_help_panel=_CONTROL)(up.register)
app.command("pending", rich_help_panel=_CONTROL)(approve.pending)
app.command("approve", rich_help_panel=_CONTROL)(approve.approve)
app.command("demo", rich_help_panel=_CONTROL)(demo.demo)
app.add_typer(approvers.app, name="approvers", rich_help_panel=_CONTROL)
app.add_typer(audit.app, name="audit", rich_help_panel=_RUNBOOKS)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"pg-runbooks {installed_version('pg-runbooks')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """PostgreSQL disaster-recovery runbooks: planned, approved, verified, on record."""


def main() -> NoReturn:
    """Run the command line; exit 0 done, 1 failed, 2 wrong usage, 3 refused, 130 Ctrl-C."""
    for number in _ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    code: int | str | None = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    except Exception as error:
        told = _told(error)
        if not told and _is_written("\n" if isinstance(error, OSError) else ""):
            raise
        code = told or FAILED
    sys.exit(code if _is_written() else FAILED)


def _is_written(probe: str = "") -> bool:
    """Tell whether what was printed is out; an error where not, but for a reader who has gone."""
    try:
        print(probe, end="", flush=True)
    except OSError as error:
        from deployments.cli.terminal import lead_nowhere
        from runbook.errors import RunbookError

        lead_nowhere(sys.stdout)
        hint = "What a run has done stands in its record: pg-runbooks audit list"
        if not isinstance(error, BrokenPipeError):
            lost = RunbookError(f"the output cannot be written: {error.strerror}", hint=hint)
            print(lost, file=sys.stderr)
        return False
    return True


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """End as Ctrl-C does: everything that was begun is cleared away on the way out.

    Told once. The kernel and the shell both send SIGHUP when a connection drops, and `timeout`
    sends SIGTERM twice: the second one would break the way back.
    """
    for each in _ENDINGS:
        signal.signal(each, _heard)
    raise KeyboardInterrupt


def _heard(number: int, frame: FrameType | None) -> None:
    """Do nothing. Not SIG_IGN, which the programs that are started would inherit."""


def _told(error: Exception) -> int:
    """Print an error of ours as ERROR, DETAIL, HINT; give the exit code, 0 for any other error."""
    from runbook.errors import Refused, RunbookError, SettingsError

    if not isinstance(error, RunbookError):
        return 0
    print(error, file=sys.stderr)
    if isinstance(error, Refused):
        return REFUSED
    return USAGE if isinstance(error, SettingsError) else FAILED
