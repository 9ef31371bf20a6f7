"""Starting a runbook: `run` and `plan`, with the options of the runbook itself."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.runbooks import headlines, load
from deployments.cli.settings import InventoryOption, JsonOption, use

if TYPE_CHECKING:
    from deployments.cli.request import Request

_PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
}
_APPROVAL = "Approval where nobody sits at a terminal"

Go = Annotated[bool, typer.Option("--go", help="Act. Without it only the plan is shown.")]
ApproveBy = Annotated[
    str, typer.Option(help="Approve in this person's name.", rich_help_panel=_APPROVAL)
]
Confirm = Annotated[
    str, typer.Option(help="The cluster's name once more.", rich_help_panel=_APPROVAL)
]
Key = Annotated[
    Path | None,
    typer.Option(help="Sign the approval with this SSH key.", rich_help_panel=_APPROVAL),
]
Runbook = Annotated[str, typer.Argument(help="Name of the runbook.", metavar="RUNBOOK")]


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Add `run` and `plan`, whose help lists every runbook."""
    pages = "\n".join(f"* {name}: {page}" for name, page in headlines().items())
    for command in (run, plan):
        app.command(
            command.__name__,
            help=f"{command.__doc__}\n\n{pages}\n\nIts options: RUNBOOK --help",
            rich_help_panel=panel,
            context_settings=_PASS_ON,
            options_metavar="",
            no_args_is_help=True,
        )(command)


def run(context: typer.Context, runbook: Runbook) -> None:
    """Run a runbook: a dry run unless --go is given."""
    _parse(runbook, context, act=True)


def plan(context: typer.Context, runbook: Runbook) -> None:
    """Show what a runbook would do, and change nothing: the same as `run` without --go."""
    _parse(runbook, context, act=False)


def _parse(name: str, context: typer.Context, *, act: bool) -> None:
    """Read the rest of the line with the runbook's own options, and carry it out."""
    from deployments.cli.parameters import with_options
    from deployments.cli.request import Request

    procedure = load(name)
    page = cleandoc(procedure.body.__doc__ or "")

    def carry_out(
        *,
        go: Go = False,
        approve_by: ApproveBy = "",
        confirm: Confirm = "",
        key: Key = None,
        inventory: InventoryOption = None,
        as_json: JsonOption = False,
        **parameters: str | int | bool,
    ) -> None:
        _start(Request(name, parameters, go, approve_by, confirm, as_json, key), inventory)

    def show_plan(
        *,
        inventory: InventoryOption = None,
        as_json: JsonOption = False,
        **parameters: str | int | bool,
    ) -> None:
        _start(Request(name, parameters, as_json=as_json), inventory)

    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    function = with_options(carry_out if act else show_plan, procedure.body, page)
    inner.command(name, help=page.partition("Args:")[0].rstrip())(function)
    verb = "run" if act else "plan"
    inner(args=context.args, prog_name=f"pg-runbooks {verb} {name}")


def _start(request: Request, inventory: Path | None) -> None:
    """Carry a request out here where there is an inventory, else through its deployment."""
    request.insist_on_confirmation()
    if use(inventory) is None:
        from deployments.cli.submitted import submit

        submit(request)
    else:
        from deployments.cli.alone import carry_out

        carry_out(request)
