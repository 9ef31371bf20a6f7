"""A compose project: what it sets, what compose makes of it, and what a change would change."""

from __future__ import annotations

import posixpath
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runbook.errors import SettingsError
from runbook.hosts import Command, Completed, Host
from runbook.repoint import edit
from runbook.repoint.change import ASSEMBLE, FileChange
from runbook.repoint.compose_text import ComposeText, compose_text
from runbook.repoint.configuration import insist_on_nothing_else, leaves, path_of
from runbook.repoint.containers import INSPECT, containers
from runbook.repoint.edit import Edit
from runbook.repoint.env_lines import EnvLines, env_lines
from runbook.repoint.interpolation import interpolated
from runbook.repoint.reading import Reading, Value, file_of, value
from runbook.repoint.target import Target
from runbook.repoint.text_file import TextFile, parsed, reading
from runbook.repoint.traced import Traced, unwritten
from runbook.repoint.variable import DatabaseVariable

if TYPE_CHECKING:
    from runbook.apps import DockerCompose

_READ_SECONDS = 60

_Fetch = Callable[[Sequence[str]], Sequence[TextFile | None]]

# Arguments: a new directory, of each text its name, file and edits, then -- and the command.
_CHECK = (
    """set -eu
umask 077
folder=$1; shift
mkdir -- "$folder"
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 143' TERM HUP INT
"""
    + ASSEMBLE
    + """
while [ "$1" != -- ]; do
  name=$1 file=$2 count=$3; shift 2
  (assemble "$file" "$@") >"$folder/$name"
  shift "$((1 + 3 * count))"
done
shift
"$@"
"""
)


@dataclass(frozen=True)
class Project:
    """A compose file with the env files that it takes its values from."""

    app: DockerCompose
    host: Host
    compose: ComposeText
    dotenv: EnvLines | None
    env_files: Mapping[str, tuple[tuple[Traced, EnvLines], ...]]

    @property
    def files(self) -> Mapping[str, TextFile]:
        """Give all files, by the paths that they are asked for with."""
        found = {self.app.file: self.compose.file}
        if self.dotenv is not None:
            found[_beside(self.app, ".env")] = self.dotenv.file
        for files in self.env_files.values():
            found |= {_beside(self.app, path.text): lines.file for path, lines in files}
        return found

    def value(self, variable: DatabaseVariable) -> Value:
        """Find where a variable of a service gets its value from."""
        traced = self.compose.variable(variable.service, variable.variable)
        if traced is not None:
            traced = interpolated(traced, self._known())
        for _, lines in () if traced is not None else reversed(self.env_files[variable.service]):
            traced = traced or lines.value(variable.variable)
        return value(variable, traced, f"{self.host}: {self.app.file}")

    def secrets(self) -> tuple[str, ...]:
        """Give every value that an error of compose might repeat."""
        files = [lines for files in self.env_files.values() for _, lines in files]
        files += [self.dotenv] if self.dotenv else []
        texts = [traced.text for lines in files for _, traced in lines.entries]
        return (*self.compose.literals(), *texts)

    def _known(self) -> Mapping[str, Traced]:
        """Give what interpolation finds; the environment comes before the .env file."""
        own = {name: unwritten(text) for name, text in self.app.env.items()}
        if self.dotenv is None:
            return own
        return {**self.dotenv.values(), **own}


def read(app: DockerCompose, host: Host, variables: Sequence[DatabaseVariable]) -> Reading:
    """Read the files and insist that compose sees in them what we see."""
    program = (*app.program, "-f", app.file, "config")
    asked = (app.file, _beside(app, ".env"))
    done = host.attempt(_quick(app, reading(asked, program)))
    first = dict(zip(asked, parsed(host, asked, done), strict=True))

    def fetch(paths: Sequence[str]) -> Sequence[TextFile | None]:
        if not paths or set(paths) <= set(asked):
            return [first[path] for path in paths]
        return parsed(host, paths, host.attempt(_quick(app, reading(paths))))

    project = _project(app, host, fetch)
    values = tuple(project.value(variable) for variable in variables)
    configuration = _config(project, done).split("\n", len(asked))[-1]
    effective = leaves(configuration)
    for one in values:
        if effective.get(path_of(one.variable)) != one.traced.text:
            raise SettingsError(
                f"{host}: {app.file} is not understood",
                detail=f"docker compose config gives {one.variable} another value than its text",
                hint="Is it set by the environment, an override file or --env-file? Write it "
                "plainly into the compose file or the .env beside it.",
            )
    main = project.compose.file.path
    return Reading(host, app.user, project.files, values, main, configuration)


def check(
    app: DockerCompose,
    readings: Sequence[Reading],
    target: Target,
    changes: Collection[FileChange],
) -> None:
    """Let compose read the new texts, and insist that nothing else would change."""
    host, values = readings[0].host, [one for reading in readings for one in reading.values]
    files = {path: file for one in readings for path, file in one.files.items()}
    project = _project(app, host, lambda paths: [files.get(path) for path in paths])
    configuration = _config(project, host.attempt(_checking(project, changes)))
    before, after = leaves(readings[0].configuration), leaves(configuration)
    wanted = {path_of(one.variable): one.retargeted(target) for one in values}
    insist_on_nothing_else(f"{host}: {app.file}", before, after, wanted)
    wrong = sorted(".".join(path) for path, text in wanted.items() if after.get(path) != text)
    if wrong:
        raise SettingsError(
            f"{host}: {app.file} is not understood",
            detail=f"after the change docker compose config would not show {target} in "
            f"{', '.join(wrong)}",
        )


def has_taken(app: DockerCompose, reading: Reading) -> bool:
    """Ask the containers whether they were made with the values of the files, and run."""
    return all(_has_taken(app, reading.host, value) for value in reading.values)


def _has_taken(app: DockerCompose, host: Host, value: Value) -> bool:
    service, once = value.variable.service, value.variable.once
    words = (" ".join(app.engine), service, *app.program, "-f", app.file)
    argv = ("sh", "-c", INSPECT, "inspect", *words)
    found = containers(host, _quick(app, argv))
    return (bool(found) or once) and all(
        (one.running or once) and one.has(value.variable.variable, value.traced.text)
        for one in found
    )


def _project(app: DockerCompose, host: Host, fetch: _Fetch) -> Project:
    first, dotenv = fetch((app.file, _beside(app, ".env")))
    compose = compose_text(file_of(first, app.file, host))
    services = compose.services()
    named = [(service, path) for service in services for path in compose.env_files(service)]
    found = fetch([_beside(app, path.text) for _, path in named])
    env_files: dict[str, tuple[tuple[Traced, EnvLines], ...]] = dict.fromkeys(services, ())
    for (service, path), file in zip(named, found, strict=True):
        if file is not None:
            env_files[service] += ((path, env_lines(file)),)
    return Project(app, host, compose, env_lines(dotenv) if dotenv else None, env_files)


def _quick(app: DockerCompose, argv: tuple[str, ...]) -> Command:
    """Read with less patience than starting and stopping need."""
    return replace(app.command(argv), timeout=_READ_SECONDS)


def _beside(app: DockerCompose, path: str) -> str:
    return posixpath.join(_folder(app), path)


def _folder(app: DockerCompose) -> str:
    return posixpath.dirname(app.file) or "."


def _checking(project: Project, changes: Collection[FileChange]) -> Command:
    """Make copies of the changed files, edited, and let compose read them.

    Ref.: docker compose config
    """
    app, compose, dotenv = project.app, project.compose.file, project.dotenv
    folder = f"/tmp/pg-runbooks-{secrets.token_hex(8)}"  # noqa: S108 - mkdir refuses what is there
    copies = {change.file.path: f"{number}.env" for number, change in enumerate(changes)}
    edits = [one for change in changes if change.file.path == compose.path for one in change.edits]
    for files in project.env_files.values():
        for path, lines in files:
            place = path.place((0, len(path.text)))
            if lines.file.path in copies and place is not None:
                copy = f"{folder}/{copies[lines.file.path]}"
                edits.append(Edit(place.start, place.end, copy))
    words = [word for change in changes for word in _copied(change, copies[change.file.path])]
    merged = edit.merged(compose, edits)
    words += ["compose", compose.path, str(len(merged)), *edit.pieces(compose.text, merged)]
    program = [*app.program, "--project-directory", _folder(app)]
    if dotenv is not None and dotenv.file.path in copies:
        program += ["--env-file", f"{folder}/{copies[dotenv.file.path]}"]
    program += ["-f", f"{folder}/compose", "config"]
    return _quick(app, ("sh", "-c", _CHECK, "check", folder, *words, "--", *program))


def _copied(change: FileChange, name: str) -> tuple[str, ...]:
    return (name, change.file.path, *change.words())


def _config(project: Project, done: Completed) -> str:
    """Give what compose printed; its complaint with every value in it hidden."""
    if done.exit_code != 0:
        raise SettingsError(
            f"{project.host}: docker compose cannot read {project.app.file}",
            detail=_hidden("\n".join(done.stderr.strip().splitlines()[-8:]), project.secrets()),
            hint=f"On {project.host}: {' '.join(project.app.program)} -f {project.app.file} config",
        )
    return done.stdout


def _hidden(text: str, values: Iterable[str]) -> str:
    for one in sorted(set(values), key=len, reverse=True):
        text = text.replace(one, "***") if len(one) > 2 else text
    return re.sub(r"\S*(?:://|@|\$)\S*", "***", text)
