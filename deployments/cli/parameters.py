"""Options of a runbook, made from its own signature and the Args of its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

if TYPE_CHECKING:
    from flows._procedure import Body

_ARGUMENT = re.compile(r"^(\w+): (.+)$")
NOT_AN_OPTION = "dry_run"


def helps(body: Body) -> dict[str, str]:
    """Read the Args section of a docstring: what each parameter means."""
    section = inspect.cleandoc(body.__doc__ or "").partition("Args:")[2]
    found: dict[str, str] = {}
    name = ""
    for line in map(str.strip, section.splitlines()):
        matched = _ARGUMENT.match(line)
        if matched:
            name = matched[1]
            found[name] = matched[2]
        elif line and name:
            found[name] += f" {line}"
    return found


def options(body: Body) -> list[inspect.Parameter]:
    """Give every parameter of a runbook, but the dry run, as a keyword-only option."""
    told, types = helps(body), get_type_hints(body)
    return [
        argument.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[types[name], typer.Option(help=told.get(name, ""))],
        )
        for name, argument in inspect.signature(body).parameters.items()
        if name != NOT_AN_OPTION
    ]


def with_options(function: Callable[..., None], body: Body, page: str) -> Callable[..., None]:
    """Give a function the options of a runbook in the place of its own `**parameters`."""
    own = [
        argument.replace(annotation=annotation)
        for name, argument in inspect.signature(function).parameters.items()
        if argument.kind is not inspect.Parameter.VAR_KEYWORD
        for annotation in [get_type_hints(function, include_extras=True)[name]]
    ]
    every = [*options(body), *own]

    def command(**given: object) -> None:
        function(**given)

    command.__doc__ = page
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    command.__annotations__ = {argument.name: argument.annotation for argument in every}
    return command
