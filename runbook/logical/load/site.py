"""What a dump takes for granted of the machine: locales, and where tablespaces lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runbook.logical.load.words import IDENTIFIER, plain

_SPACE = re.compile(
    rb"CREATE TABLESPACE ("
    + IDENTIFIER
    + rb") OWNER "
    + IDENTIFIER
    + rb" LOCATION '((?:[^']|'')+)'"
)
# What an ICU or built-in provider calls a locale is not the machine's.
_HAS_LOCALE = re.compile(rb"CREATE DATABASE |CREATE COLLATION [^']*?provider = libc")
_LOCALE = re.compile(rb" (?:LC_COLLATE|LC_CTYPE|LOCALE|lc_collate|lc_ctype|locale) = '([^']+)'")


@dataclass
class Site:
    """Directories of tablespaces by name, and the names of the locales of the C library."""

    directories: dict[str, str] = field(default_factory=dict)
    locales: list[str] = field(default_factory=list)

    def definition(self, text: bytes) -> None:
        """Read a statement that makes something."""
        if found := _SPACE.match(text):
            where = found[2].replace(b"''", b"'").decode(errors="replace")
            self.directories[plain(found[1])] = where
        elif _HAS_LOCALE.match(text):
            names = (name.decode(errors="replace") for name in _LOCALE.findall(text))
            self.locales += [name for name in names if name not in self.locales]
