"""The findings of a health check as one table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runbook.health.finding import Finding, Level

_SIGNS = {Level.OK: "✓ OK", Level.WARNING: "▲ WARNING", Level.CRITICAL: "✗ CRITICAL"}
_LONGEST = 300


def worst(findings: Sequence[Finding]) -> Level:
    """Give the greatest level."""
    return max((finding.level for finding in findings), default=Level.OK)


def counted(findings: Sequence[Finding]) -> str:
    """Count the findings of each level, the worst first."""
    counts = [(level, sum(f.level is level for f in findings)) for level in reversed(Level)]
    return ", ".join(f"{count} {level}" for level, count in counts if count)


def table(findings: Sequence[Finding]) -> str:
    """Write the findings as a Markdown table, the worst first, otherwise in their order."""
    rows = ["| level | where | what | seen | hint |", "|---|---|---|---|---|"]
    for one in sorted(findings, key=lambda finding: -finding.level):
        cells = (_SIGNS[one.level], one.where, one.what, one.seen, one.hint)
        rows.append(f"| {' | '.join(_cell(text) for text in cells)} |")
    return "\n".join(rows)


def lines(findings: Sequence[Finding]) -> str:
    """Write what is not well as plain lines, for errors and terminals."""
    wrong = sorted(
        (one for one in findings if one.level is not Level.OK), key=lambda one: -one.level
    )
    return "\n".join(f"{one.level}: {one.where}: {one.what}: {_line(one.seen)}" for one in wrong)


def _line(text: str) -> str:
    flat = re.sub(r"\s+", " ", text).strip()
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]}…"


def _cell(text: str) -> str:
    return re.sub(r"([|<>`\\])", r"\\\1", _line(text))
