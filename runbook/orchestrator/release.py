"""Releases of the platform: which of them orchestrator-cli restores."""

from __future__ import annotations

import re

RESTORABLE = (2, 4, 0)
"""`orchestrator-cli restore` works with this release and later ones."""

_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)+(?:[-+.][0-9A-Za-z.+-]+)?")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)+")


def numbers(release: str) -> tuple[int, ...]:
    """Give a release as numbers, to compare; nothing where it is none."""
    found = _NUMBERS.match(release.strip())
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def is_release(text: str) -> bool:
    """Tell whether a text is a release, which can be given to a program."""
    return _RELEASE.fullmatch(text) is not None


def is_restorable(release: str) -> bool:
    """Tell whether `orchestrator-cli restore` works with a release."""
    known = numbers(release)
    return bool(known) and (*known, 0, 0)[:3] >= RESTORABLE
