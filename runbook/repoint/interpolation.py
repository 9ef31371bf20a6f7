"""Compose's interpolation: `$NAME`, `${NAME}`, `${NAME:-default}`, and `$$` for a dollar.

Ref.: Compose file reference, Interpolation
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runbook.repoint.traced import Place, Traced, joined, unwritten

_REFERENCE = re.compile(
    r"\$(?:\$|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-?+])(?P<other>[^{}]*))?\})"
)


def interpolated(template: Traced, known: Mapping[str, Traced]) -> Traced:
    """Put the known values in; what comes out of a default stands in no file.

    So an address out of a default has no place that could be changed, and is refused.
    """
    parts, at = [], 0
    for match in _REFERENCE.finditer(template.text):
        parts.append(template.cut(at, match.start()))
        parts.append(_value(match, template, known))
        at = match.end()
    return joined([*parts, template.cut(at)])


def _value(match: re.Match[str], template: Traced, known: Mapping[str, Traced]) -> Traced:
    if match[0] == "$$":
        first, last = template.places[match.start()], template.places[match.end() - 1]
        whole = Place(first.path, first.start, last.end) if first and last else None
        return Traced("$", (whole,))
    found = known.get(match["bare"] or match["braced"])
    how, other = match["how"] or "", match["other"] or ""
    if not how:
        return found or unwritten("")
    missing = found is None or (how.startswith(":") and not found.text)
    if how.endswith("+"):
        return unwritten("" if missing else other)
    return unwritten(other if missing or found is None else found.text)
