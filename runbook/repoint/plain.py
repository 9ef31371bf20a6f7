"""An application without compose: variables in files of its own."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.hosts import Command, Host
from runbook.repoint.env_lines import env_lines
from runbook.repoint.reading import Reading, file_of, value
from runbook.repoint.text_file import parsed, reading
from runbook.repoint.variable import DatabaseVariable


def read(host: Host, user: str, variables: Sequence[DatabaseVariable]) -> Reading:
    """Read the files that the variables are in."""
    paths = tuple(dict.fromkeys(variable.file for variable in variables))
    done = host.attempt(Command(reading(paths), user=user, timeout=60))
    found = parsed(host, paths, done)
    lines = {
        path: env_lines(file_of(file, path, host)) for path, file in zip(paths, found, strict=True)
    }
    values = tuple(
        value(variable, lines[variable.file].value(variable.variable), f"{host}: {variable.file}")
        for variable in variables
    )
    files = {path: one.file for path, one in lines.items()}
    main = lines[paths[0]].file.path
    return Reading(host, user, files, values, main, due=restart_due(variables))


def restart_due(variables: Sequence[DatabaseVariable]) -> str:
    """Name the mark that says: what runs was started before its files were changed."""
    return f"{variables[0].file}.restart-due"
