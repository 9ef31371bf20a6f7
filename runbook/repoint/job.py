"""Repointing applications: all files of all hosts, or none."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runbook.actions import Action
from runbook.errors import SettingsError, Unreachable
from runbook.hosts import Host
from runbook.repoint.change import FileChange
from runbook.repoint.change_set import ChangeSet
from runbook.repoint.edit import Edit, merged
from runbook.repoint.reading import Reading
from runbook.repoint.target import Target
from runbook.run import current

if TYPE_CHECKING:
    from runbook.apps import App

_AT_ONCE = 8

_Key = tuple[Host, str]


@dataclass
class Repointing:
    """Applications, and the database that they shall use."""

    apps: Sequence[App]
    target: Target
    _seen: Sequence[Reading] = field(default=(), repr=False)
    _changes: ChangeSet = field(default_factory=ChangeSet, repr=False)

    def is_done(self) -> bool:
        """Ask whether all files on all hosts name the target."""
        self._seen = read(self.apps)
        return all(reading.names(self.target) for reading in self._seen)

    def has_no_port(self) -> tuple[App, ...]:
        """Name the applications none of whose values, as they were last read, holds a port."""
        seen = zip(self.apps, self._seen, strict=True) if self._seen else ()
        return tuple(app for app, reading in seen if not reading.has_port())

    def actions(self) -> tuple[Action, ...]:
        """Draft every file, then put every draft in its place; to be performed in `all_or_none`.

        Before that everything is judged, as it was just read; a file that somebody changes
        afterwards is noticed when it is replaced.
        """
        readings = self._seen or read(self.apps)
        changes = _changes(readings, self.target)
        groups: dict[_Key, list[int]] = {}
        for number, reading in enumerate(readings):
            groups.setdefault((reading.host, reading.main), []).append(number)
        for (host, _), numbers in groups.items():
            together = [readings[number] for number in numbers]
            files = {file.path for one in together for file in one.files.values()}
            mine = [one for one in changes if one.host == host and one.file.path in files]
            if mine:
                self.apps[numbers[0]].managed_by.check(together, self.target, mine)
        self._changes.changes = changes
        return self._changes.actions()

    def all_or_none(self) -> AbstractContextManager[None]:
        """Put everything back when the block ends badly before the last file was replaced."""
        return self._changes.all_or_none()


def read(apps: Sequence[App]) -> tuple[Reading, ...]:
    """Read all applications at the same time; Unreachable names every one that is not there."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = [pool.submit(copy_context().run, _read, app) for app in apps]
        found = [one.result() for one in begun]
    silent = [
        (app, one) for app, one in zip(apps, found, strict=True) if isinstance(one, Unreachable)
    ]
    if silent:
        raise Unreachable(
            f"not every application can be reached: {', '.join(str(app) for app, _ in silent)}",
            detail="\n".join(f"{app.host}: {one.message}: {one.detail}" for app, one in silent),
            hint="Nothing was repointed. Mend the host, or leave its application out knowingly: "
            "the parameter skip takes names of applications or hosts. What is left out keeps "
            "the old address.",
        )
    return tuple(one for one in found if isinstance(one, Reading))


def _read(app: App) -> Reading | Unreachable:
    try:
        return app.managed_by.reading(app.host, app.database)
    except Unreachable as error:
        return error


def _changes(readings: Sequence[Reading], target: Target) -> tuple[FileChange, ...]:
    edits: dict[_Key, list[Edit]] = {}
    first: dict[_Key, Reading] = {}
    shown: dict[_Key, set[int]] = {}
    for reading in readings:
        for value in reading.values:
            for path, at in value.shown():
                shown.setdefault((reading.host, path), set()).add(at)
            for path, edit in value.edits(target, f"{reading.host}: {reading.main}"):
                edits.setdefault((reading.host, path), []).append(edit)
                first.setdefault((reading.host, path), reading)
    run = current().id
    return tuple(
        _change(first[key], key[1], edits[key], frozenset(shown[key]), run) for key in edits
    )


def _change(
    reading: Reading, path: str, edits: Sequence[Edit], shown: frozenset[int], run: str
) -> FileChange:
    file = reading.file(path)
    if not file.writable:
        raise SettingsError(
            f"{reading.host}: the folder of {path} cannot be written",
            detail=f"asked as {reading.user or reading.host.way.login}",
            hint="Mend its rights, its mount or managed_by.user.",
        )
    ordered = merged(file, edits)
    return FileChange(reading.host, reading.user, file, ordered, shown, run, reading.due)
