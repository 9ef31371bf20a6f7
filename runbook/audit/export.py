"""Past runs for other programs: JSON, and CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

import orjson

from runbook.audit.past_run import PastRun

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    *("run", "runbook", "cluster", "requested_by", "reason", "began", "ended", "seconds"),
    *("outcome", "changed", "error", "answers", "backup", "backup_role", "backup_size"),
    *("backup_seconds", "recovery_time", "recovery_point", "recovery_time_budget"),
    *("recovery_point_budget", "emergency", "host", "version", "entries", "sha256"),
)


def as_json(runs: Iterable[PastRun]) -> Iterator[str]:
    """Write an array, one run a line."""
    before = "[\n"
    for run in runs:
        yield before + orjson.dumps(_told(run)).decode()
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def as_csv(runs: Iterable[PastRun]) -> Iterator[str]:
    """Write a table with a head; times in UTC, sizes in bytes, durations in seconds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for run in runs:
        writer.writerow([_plain(value) for value in _row(run)])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _told(run: PastRun) -> dict[str, object]:
    answers = [answer._asdict() for answer in run.answers]
    backup = run.backup._asdict() if run.backup else None
    return {**run._asdict(), "answers": answers, "backup": backup}


def _row(run: PastRun) -> Iterator[object]:
    answers = (f"{each.decision} by {each.approver}: {each.reason}" for each in run.answers)
    backup = run.backup
    yield from (run.run, run.runbook, run.cluster, run.requested_by, run.reason)
    yield from (run.began, run.ended, run.seconds, run.outcome, run.changed, run.error)
    yield "; ".join(answers)
    yield from (backup.id, backup.role, backup.size, backup.seconds) if backup else ("",) * 4
    yield from (run.recovery_time, run.recovery_point)
    yield from (run.recovery_time_budget, run.recovery_point_budget)
    yield from (run.emergency, run.host, run.version, run.entries, run.sha256)


def _plain(value: object) -> object:
    """Keep text text: a spreadsheet would calculate what begins like a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
