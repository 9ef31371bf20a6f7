"""Findings: graded by the settings, the worst first, safe in a table."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runbook.errors import Unreachable
from runbook.health.finding import Finding, Level, found, gathered, graded
from runbook.health.limits import HealthLimits, Limit
from runbook.health.report import counted, lines, table, worst

FINE = found(Level.OK, "db1", "lag", "0 B", "a hint that is not needed")
SLOW = found(Level.WARNING, "db1", "lag", "70 MB | a\nsecond <line>", "see `log`")
DEAD = found(Level.CRITICAL, "db2", "server", "no answer", "start it")


def test_a_number_is_graded_by_what_it_exceeds() -> None:
    limit = Limit(warning=10, critical=20)
    assert [graded(value, limit) for value in (10, 10.1, 20, 20.1)] == [
        Level.OK,
        Level.WARNING,
        Level.WARNING,
        Level.CRITICAL,
    ]


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="before what is critical"):
        HealthLimits.model_validate({"lag": {"warning": "2GiB", "critical": "1GiB"}})
    with pytest.raises(ValidationError, match="before what is critical"):
        HealthLimits.model_validate({"wal": {"warning": 3, "critical": 2}})


def test_the_worst_decides_and_stands_first() -> None:
    findings = [FINE, SLOW, DEAD]
    assert worst(findings) is Level.CRITICAL
    assert worst([]) is Level.OK
    assert counted(findings) == "1 CRITICAL, 1 WARNING, 1 OK"
    rows = table(findings).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| ✗ CRITICAL", "| ▲ WARNING", "| ✓ OK"]
    assert lines(findings).splitlines()[0] == "CRITICAL: db2: server: no answer"
    assert len(lines(findings).splitlines()) == 2


def test_what_was_seen_cannot_break_the_table() -> None:
    row = table([SLOW]).splitlines()[-1]
    assert r"70 MB \| a second \<line\>" in row
    assert r"see \`log\`" in row
    assert "hint" not in table([FINE]).splitlines()[-1]


def test_what_cannot_be_looked_at_is_itself_critical() -> None:
    def look() -> list[Finding]:
        raise Unreachable("db1 does not answer", detail="no route", hint="is it on?")

    assert gathered("db1", "slots", look) == [
        Finding(Level.CRITICAL, "db1", "slots", "no route", "is it on?")
    ]
