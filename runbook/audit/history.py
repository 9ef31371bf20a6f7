"""The history of runs, read from the index alone: no record is opened to list them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from sys import intern

from runbook.audit.chain import Entry, decoded
from runbook.audit.chain_file import is_open
from runbook.audit.index import RunsIndex
from runbook.audit.past_run import Answered, PastRun, SeenBackup
from runbook.objectives import BUDGET, RECOVERY_POINT, RECOVERY_TIME

UNDER_WAY = "under way"
_BEGINNING = b'"event":"started",'
_GOING_ON = b'"event":"continued",'
_NEAR = 120
"""How far into a line its event stands; longer texts come later."""
OUTCOMES = (
    *("completed", "nothing to do", "refused", "not answered"),
    *("failed", "interrupted", "cut off", "waiting", UNDER_WAY),
)


@dataclass(frozen=True)
class Wanted:
    """Which runs are asked for; empty fields ask for all. `until` is exclusive."""

    cluster: str = ""
    runbook: str = ""
    person: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        said = {
            "cluster": self.cluster,
            "runbook": self.runbook,
            "person": self.person,
            "outcome": self.outcome,
        }
        chosen = [f"{name} {value}" for name, value in said.items() if value]
        return ", ".join(chosen) or "All runs of this machine's history."

    def fits(self, run: PastRun) -> bool:
        """Tell whether a run is among them; a person fits by any part of the name."""
        person = self.person.casefold()
        return (
            self.cluster in ("", run.cluster)
            and self.runbook in ("", run.runbook)
            and self.outcome in ("", run.outcome)
            and (not person or any(person in name.casefold() for name in run.people))
            and self._since <= run.began < self._until
        )

    @cached_property
    def _since(self) -> str:
        return _moment(self.since) if self.since else ""

    @cached_property
    def _until(self) -> str:
        return _moment(self.until) if self.until else "~"


def past_runs(audit: Path, wanted: Wanted | None = None) -> list[PastRun]:
    """List runs, oldest first."""
    asked = wanted or Wanted()
    going: dict[bytes, bytes] = {}
    found: dict[str, PastRun] = {}
    justified: dict[str, str] = {}
    for line in _lines(RunsIndex(audit).path):
        begins = line.find(_BEGINNING, 0, _NEAR) >= 0 or line.find(_GOING_ON, 0, _NEAR) >= 0
        if begins:
            going[_run_of(line)] = line
            continue
        entry = decoded(line)
        if entry is not None and isinstance(entry.get("justifies"), str):
            justified[str(entry["justifies"])] = f"{entry.get('by')}: {entry.get('reason')}"
        if entry is None or not isinstance(entry.get("run"), str):
            continue
        going.pop(_run_of(line), None)
        _keep(found, _past_run(str(entry["run"]), entry), asked)
    for line in going.values():
        entry = decoded(line)
        if entry is not None:
            _keep(found, _open_run(audit, str(entry.get("run")), entry), asked)
    for run in justified.keys() & found.keys():
        found[run] = found[run]._replace(justified=justified[run])
    return sorted(found.values(), key=lambda past: past.began)


def _keep(found: dict[str, PastRun], past: PastRun, asked: Wanted) -> None:
    """Keep the last that is known of a run, if it is asked for."""
    if asked.fits(past):
        found[past.run] = past
    else:
        found.pop(past.run, None)


def _run_of(line: bytes) -> bytes:
    """Give the run that a line of the index is about, without reading all of the line."""
    start = line.find(b'"run":"') + 7
    return line[start : line.find(b'"', start)]


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _past_run(run: str, entry: Entry) -> PastRun:
    """Read a closing entry; nearly all are as we wrote them, so that types are looked at once."""
    told = entry.get("measured")
    times = told if isinstance(told, dict) else {}
    return PastRun(
        run,
        intern(_text(entry, "runbook")),
        intern(_text(entry, "cluster")),
        intern(_text(entry, "requested_by")),
        _text(entry, "reason"),
        _text(entry, "began"),
        _text(entry, "at"),
        intern(_text(entry, "outcome")),
        _count(entry, "changed"),
        _text(entry, "error"),
        _answers(entry.get("answers")) if "answers" in entry else (),
        _backup(entry.get("backup")) if "backup" in entry else None,
        _seconds(times, RECOVERY_TIME),
        _seconds(times, RECOVERY_POINT),
        _seconds(times, RECOVERY_TIME + BUDGET),
        _seconds(times, RECOVERY_POINT + BUDGET),
        "",
        intern(_text(entry, "host")),
        intern(_text(entry, "version")),
        _count(entry, "entries"),
        _text(entry, "sha256"),
    )


def _open_run(audit: Path, run: str, entry: Entry) -> PastRun:
    """Tell a run that is under way from one whose process died."""
    outcome = UNDER_WAY if is_open(audit / f"{run}.jsonl") else "cut off"
    began = entry.get("began", entry.get("at"))
    return _past_run(run, {**entry, "began": began, "at": "", "outcome": outcome})


def _answers(told: object) -> tuple[Answered, ...]:
    rows = told if isinstance(told, list) else []
    names = ("decision", "approver", "reason", "door", "verified")
    return tuple(
        Answered(*(_text(row, name) for name in names)) for row in rows if isinstance(row, dict)
    )


def _backup(told: object) -> SeenBackup | None:
    if not isinstance(told, dict):
        return None
    return SeenBackup(
        _text(told, "role"),
        _text(told, "id"),
        _count(told, "size"),
        _count(told, "stored"),
        _seconds(told, "seconds") or 0.0,
        _text(told, "finished"),
    )


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name, "")
    return value if type(value) is str else str(value)


def _count(entry: Mapping[str, object], name: str) -> int:
    value = entry.get(name)
    return value if isinstance(value, int) else 0


def _seconds(entry: Mapping[str, object], name: str) -> float | None:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
