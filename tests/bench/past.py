"""A generated history: years of nightly backups, drills, refusals and failures of many clusters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runbook.audit.chain import START, Entry, digest, encoded
from runbook.audit.chain_file import End, whole_digest
from runbook.audit.index import HEAD, RunsIndex, seal

_PEOPLE = ("Alice Ahrens", "Bob Berg", "Carol Chen", "Dana Duarte", "Erik Eide")
_RUNBOOKS = (("base-backup", 90), ("verify-backup", 5), ("instance-restore", 2), ("prune", 3))


@dataclass(frozen=True)
class Past:
    """How much has happened: runs of so many clusters, up to `until`, one a night and cluster."""

    runs: int
    clusters: int = 30
    until: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    actions: int = 0
    """How many actions each record holds; 0 writes no records, only the index."""

    def write(self, audit: Path) -> None:
        """Write it as the runs themselves would have, without bringing each line to disk."""
        index = RunsIndex(audit)
        index.folder.mkdir(parents=True)
        (index.folder / "open").mkdir()
        chain = _Chain()
        with index.path.open("wb") as file:
            for run in self._runs():
                file.write(chain.line("started", run.began, run.about))
                told = {**run.about, **run.told, **self._record(audit, run)}
                file.write(chain.line("ended", run.ended, told))
        end = chain.end
        (index.folder / HEAD).write_text(f"{end.lines:012d} {end.size:015d} {end.last}\n")

    def _runs(self) -> Iterator[_Run]:
        chance = random.Random(7)
        nights = self.runs // self.clusters + 1
        first = self.until - timedelta(days=nights)
        for number in range(self.runs):
            night, cluster = divmod(number, self.clusters)
            began = first + timedelta(days=night, hours=2, seconds=cluster * 60)
            yield _run(number, f"cluster-{cluster:02d}", began, night, chance)

    def _record(self, audit: Path, run: _Run) -> Entry:
        if not self.actions:
            return seal(End(8, 4000, START), START)
        chain = _Chain()
        parts = [chain.line("start", run.began, {**run.about, "parameters": {}})]
        for action in range(self.actions):
            goal = {"step": str(action), "goal": f"goal {action}"}
            intent = {
                **goal,
                "where": "db1",
                "command": f"pg_basebackup -D /backups/{action} -F tar",
            }
            parts.append(chain.line("intent", run.began, intent))
            done = {**goal, "exit_code": 0, "said": "waiting for server to start", "seconds": 1.5}
            parts.append(chain.line("done", run.ended, done))
        parts.append(chain.line("end", run.ended, {"outcome": "completed", "changed": 1}))
        content = b"".join(parts)
        (audit / f"{run.about['run']}.jsonl").write_bytes(content)
        return seal(chain.end, whole_digest(content))


@dataclass(frozen=True)
class _Run:
    began: datetime
    ended: datetime
    about: Entry
    told: Entry


class _Chain:
    def __init__(self) -> None:
        self.end = End()

    def line(self, event: str, at: datetime, fields: Entry) -> bytes:
        stamped = {"at": at.isoformat(timespec="milliseconds"), **fields}
        line = encoded(self.end.lines, event, stamped, self.end.last)
        self.end = End(self.end.lines + 1, self.end.size + len(line) + 1, digest(line))
        return line + b"\n"


def _run(number: int, cluster: str, began: datetime, night: int, chance: random.Random) -> _Run:
    names, weights = zip(*_RUNBOOKS, strict=True)
    runbook = chance.choices(names, weights)[0]
    asks = runbook == "instance-restore"
    outcome = _outcome(asks, chance)
    seconds = chance.uniform(300, 900) * (1 + night / 2000)
    about: Entry = {
        "run": f"{number:032x}",
        "runbook": runbook,
        "cluster": cluster,
        "requested_by": chance.choice(_PEOPLE) if asks else "schedule",
        "host": "worker-1",
        "version": "0.1.0",
    }
    told: Entry = {
        "outcome": outcome,
        "began": began.isoformat(timespec="milliseconds"),
        "changed": 1 if outcome == "completed" else 0,
        "error": "" if outcome != "failed" else "ERROR:  the store has no room for the backup",
    }
    if asks:
        told |= {"reason": f"CHG-{number}", "answers": [_answer(outcome, chance)]}
        told["measured"] = {
            "recovery time": seconds,
            "recovery point": seconds * 60,
            "recovery time budget": 900.0,
        }
    if outcome == "completed" and runbook != "prune":
        role = {"base-backup": "taken", "verify-backup": "verified"}.get(runbook, "restored")
        told["backup"] = _backup(role, began, night, seconds, chance)
    return _Run(began, began + timedelta(seconds=seconds), about, told)


def _outcome(asks: bool, chance: random.Random) -> str:
    if asks:
        return chance.choices(("completed", "refused", "failed", "not answered"), (8, 2, 1, 1))[0]
    return chance.choices(("completed", "failed", "cut off"), (97, 2, 1))[0]


def _answer(outcome: str, chance: random.Random) -> Entry:
    decision = "refuse" if outcome == "refused" else "approve"
    person = chance.choice(_PEOPLE)
    return {"decision": decision, "approver": person, "reason": "read it", "door": "command line"}


def _backup(role: str, began: datetime, night: int, seconds: float, chance: random.Random) -> Entry:
    size = int((40 + night / 10) * 1e9 * chance.uniform(0.97, 1.03))
    return {
        "role": role,
        "id": f"backup_{began:%Y%m%d%H%M%S}",
        "size": size,
        "stored": size // 4,
        "seconds": round(seconds, 1),
        "finished": began.isoformat(timespec="seconds"),
    }
