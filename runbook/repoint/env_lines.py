"""Files of NAME=value lines: .env, env_file, systemd's EnvironmentFile, properties."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runbook.errors import SettingsError
from runbook.repoint.text_file import TextFile
from runbook.repoint.traced import Traced, written

_LINE = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?(?P<name>[A-Za-z_][\w.-]*)[^\S\n]*=[^\S\n]*")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<inside>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)""")
_REST = re.compile(r"[^\S\n]*(?:#.*)?")
_BARE = re.compile(r"(?P<inside>[^\n]*?)[^\S\n]*(?:[^\S\n]#[^\n]*)?(?:\n|\Z)")


@dataclass(frozen=True)
class EnvLines:
    """The variables of a file, in its order; a name may come twice."""

    file: TextFile
    entries: tuple[tuple[str, Traced], ...] = field(repr=False)

    def value(self, name: str) -> Traced | None:
        """Give the value of a variable; SettingsError when it is written twice."""
        found = [value for known, value in self.entries if known == name]
        if len(found) > 1:
            raise SettingsError(
                f"{self.file.path} sets {name} {len(found)} times",
                hint="Leave one of them; which one counts differs from reader to reader.",
            )
        return found[0] if found else None

    def values(self) -> dict[str, Traced]:
        """Give all of them; of two the last."""
        return dict(self.entries)


def env_lines(file: TextFile) -> EnvLines:
    """Read a file; SettingsError at a quote that does not end on its line."""
    text, entries, at = file.text, [], 0
    for number, line in enumerate(text.split("\n"), start=1):
        start, at = at, at + len(line) + 1
        match = _LINE.match(line)
        if match is None:
            continue
        entries.append((match["name"], _value(file, line, match.end(), start, number)))
    return EnvLines(file, tuple(entries))


def _value(file: TextFile, line: str, at: int, start: int, number: int) -> Traced:
    quoted = _QUOTED.match(line, at)
    if quoted and _REST.fullmatch(line, quoted.end()):
        return written(quoted["inside"], file.path, start + quoted.start("inside"))
    if line[at : at + 1] in ("'", '"'):
        raise SettingsError(
            f"{file.path} line {number}: the quote does not end on its line",
            hint="Values over several lines are not understood; write it on one line.",
        )
    bare = _BARE.match(line, at)
    assert bare is not None
    return written(bare["inside"], file.path, start + at)
