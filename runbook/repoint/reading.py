"""What an application's files say about its database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runbook.errors import SettingsError
from runbook.hosts import Host
from runbook.repoint.edit import Edit
from runbook.repoint.form import Form, recognised
from runbook.repoint.target import Target
from runbook.repoint.text_file import TextFile
from runbook.repoint.traced import Traced
from runbook.repoint.variable import DatabaseVariable


@dataclass(frozen=True)
class Value:
    """The value of a variable, where it is written, and how it is understood."""

    variable: DatabaseVariable
    traced: Traced = field(repr=False)
    form: Form

    def names(self, target: Target) -> bool:
        """Tell whether it already says what it should."""
        return not self.form.replacements(self.traced.text, target)

    def retargeted(self, target: Target) -> str:
        """Give the value as it should be."""
        text = self.traced.text
        for (start, end), new in sorted(self.form.replacements(text, target), reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def edits(self, target: Target, where: str) -> Iterator[tuple[str, Edit]]:
        """Give the path and edit of every part that must change."""
        for span, new in self.form.replacements(self.traced.text, target):
            place = self.traced.place(span)
            if place is None:
                raise SettingsError(
                    f"{where}: the address in {self.variable} comes from no file that could be "
                    "changed",
                    detail="it is put together, or comes from the environment or out of a default "
                    "such as ${NAME:-value}",
                    hint="Write it in the compose file, or as NAME=value in the .env beside it.",
                )
            yield place.path, Edit(place.start, place.end, new, str(self.variable))

    def shown(self) -> Iterator[tuple[str, int]]:
        """Give path and offset of every character that is no secret."""
        for start, end in self.form.shown:
            for place in self.traced.places[start:end]:
                if place is not None:
                    yield from ((place.path, at) for at in range(place.start, place.end))


@dataclass(frozen=True)
class Reading:
    """One application: its files, by the paths that it names them with, and its values."""

    host: Host
    user: str
    files: Mapping[str, TextFile] = field(repr=False)
    values: tuple[Value, ...]
    main: str
    """The compose file's real path, or the first of the files."""

    configuration: str = field(default="", repr=False)
    """What `docker compose config` printed, where there is compose."""

    due: str = ""
    """The mark to leave when a file changes, where a running process cannot be asked."""

    def names(self, target: Target) -> bool:
        """Tell whether every value says what it should."""
        return all(value.names(target) for value in self.values)

    def file(self, real_path: str) -> TextFile:
        """Give a file by its real path."""
        return next(file for file in self.files.values() if file.path == real_path)

    def has_port(self) -> bool:
        """Tell whether any value holds a port."""
        return any(value.form.port is not None for value in self.values)


def value(variable: DatabaseVariable, traced: Traced | None, where: str) -> Value:
    """Understand a value; SettingsError, without the value, when that is not possible."""
    if traced is None:
        raise SettingsError(
            f"{where} sets no {variable}",
            hint="Correct the app's database settings, or write the variable there.",
        )
    form = recognised(traced.text, variable.holds)
    if form is None:
        wanted = "port number" if variable.holds == "port" else "address"
        raise SettingsError(
            f"{where}: no {wanted} is recognised in {variable}",
            detail="understood are: host, host:port, scheme://user:password@host:port/database "
            "and host=... port=..., each with one host",
            hint="If the application finds its primary by itself, take the variable out of the "
            "app's database settings.",
        )
    return Value(variable, traced, form)


def file_of(file: TextFile | None, path: str, host: Host) -> TextFile:
    """Insist on a file that is there and can be replaced."""
    if file is None:
        raise SettingsError(f"{host} has no {path}", hint="Correct the path in the app's settings.")
    return file
