"""The record of a run: on disk, sealed, one writer, going on after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runbook.audit import AuditTrail, read_trail
from runbook.audit.chain_file import ChainFile
from runbook.audit.index import RunsIndex
from runbook.audit.verification import Verdict, verified
from runbook.errors import Damaged, Refused
from tests.unit.audit.scene import History

REPOSITORY = Path(__file__).parents[3]

_WRITER = """
import sys
from pathlib import Path
from runbook.audit import AuditTrail
trail = AuditTrail(Path(sys.argv[1]))
trail.write("start", run="killed", runbook="test-write", cluster="shop", requested_by="x")
trail.write("intent", goal="g", where="w", command="c")
print("written", flush=True)
sys.stdin.read()
"""


def levels(verdict: Verdict) -> list[str]:
    return [found.level for found in verdict.findings]


def test_a_whole_history_verifies_and_is_counted(past: History) -> None:
    verdict = verified(past.audit)
    assert verdict.findings == ()
    assert verdict.runs == 4
    files = [*past.audit.glob("*.jsonl"), RunsIndex(past.audit).path]
    assert verdict.size == sum(path.stat().st_size for path in files)
    assert verdict.entries == sum(path.read_bytes().count(b"\n") for path in files)


def test_a_run_that_waited_goes_on_in_its_file_and_the_index_tells_both(past: History) -> None:
    events = [entry["event"] for entry in read_trail(past.record("waited"))]
    assert events.count("start") == 2
    assert events[events.index("waiting") + 1] == "start"
    lines = RunsIndex(past.audit).path.read_text().splitlines()
    told = [json.loads(line) for line in lines if '"run":"waited"' in line]
    assert [entry["event"] for entry in told] == ["started", "waiting", "continued", "ended"]


def test_every_record_begins_with_its_place_in_the_index(past: History) -> None:
    import hashlib

    lines = RunsIndex(past.audit).path.read_bytes().splitlines()
    for path in past.audit.glob("*.jsonl"):
        reference = read_trail(path)[0]["index"]
        assert isinstance(reference, dict)
        line = lines[reference["number"]]
        assert hashlib.sha256(line).hexdigest() == reference["sha256"]
        assert json.loads(line)["run"] == path.stem


def test_the_index_tells_outcome_people_and_what_was_measured(past: History) -> None:
    lines = RunsIndex(past.audit).path.read_text().splitlines()
    ended = {e["run"]: e for e in map(json.loads, lines) if e["event"] == "ended"}
    assert ended["refused"]["outcome"] == "refused"
    assert ended["refused"]["answers"][0]["decision"] == "refuse"
    assert ended["last"]["outcome"] == "completed"
    assert ended["last"]["requested_by"] == "dana"
    assert ended["last"]["measured"] == {"recovery time": 1.5}
    assert ended["last"]["reason"] == "why"


def test_two_processes_cannot_write_one_record(tmp_path: Path) -> None:
    first = ChainFile(tmp_path / "record.jsonl")
    with pytest.raises(Refused, match="another process writes the record"):
        ChainFile(tmp_path / "record.jsonl", patience=0.1)
    first.close()
    ChainFile(tmp_path / "record.jsonl", patience=0).close()


def _killed(history: History) -> Path:
    """A record whose process was killed in the middle of its work."""
    path = history.record("killed")
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        assert levels(verified(history.audit)) == ["open"]
        assert "under way" in verified(history.audit).findings[0].what
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
    return path


def test_a_killed_run_is_told_apart_and_sealed_by_the_next_one(history: History) -> None:
    path = _killed(history)
    (found,) = verified(history.audit).findings
    assert (found.level, found.run, found.line) == ("open", "killed", 2)
    history.run("next")
    assert verified(history.audit).findings == ()
    index = RunsIndex(history.audit).path.read_text().splitlines()
    (left,) = [json.loads(line) for line in index if '"left"' in line]
    assert (left["run"], left["entries"], left["outcome"]) == ("killed", 2, "cut off")
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\n") + 1])
    assert [found.line for found in verified(history.audit).broken] == [2]


def test_a_line_cut_by_a_crash_is_told_apart_and_the_chain_goes_on_after_it(
    history: History,
) -> None:
    path = _killed(history)
    with path.open("ab") as file:
        file.write(b'{"number":2,"at":"2026-')
    with pytest.raises(Damaged, match="the record is cut in line 3"):
        read_trail(path)
    assert set(levels(verified(history.audit))) == {"open"}
    trail = AuditTrail(path)
    trail.write("start", run="killed", runbook="test-write", cluster="shop", requested_by="x")
    trail.write("end", outcome="completed", changed=0)
    trail.close()
    entries = read_trail(path)
    assert [entry["event"] for entry in entries[2:]] == ["torn", "start", "end"]
    assert entries[2]["lines"] == [2]
    assert levels(verified(history.audit)) == []


def test_a_torn_index_goes_on_too(history: History) -> None:
    history.run("first")
    index = RunsIndex(history.audit)
    with index.path.open("ab") as file:
        file.write(b'{"number":2,')
    assert "open" in levels(verified(history.audit))
    history.run("second")
    verdict = verified(history.audit)
    assert set(levels(verdict)) == {"note"}
    assert "cut by a crash" in verdict.findings[0].what


def test_a_full_disk_ends_no_chain(tmp_path: Path) -> None:
    """A write that is cut short in a living process is declared by its next entry."""
    chain = ChainFile(tmp_path / "record.jsonl")
    chain.append("first", {})
    with (tmp_path / "record.jsonl").open("ab") as file:
        file.write(b'{"half')
    chain.resume()
    chain.append("second", {})
    chain.close()
    events = [entry["event"] for entry in read_trail(tmp_path / "record.jsonl")]
    assert events == ["first", "torn", "second"]


def test_text_that_is_no_unicode_is_written_and_read(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "record.jsonl")
    trail.write("said", text="caf\udce9")
    trail.close()
    assert read_trail(tmp_path / "record.jsonl")[0]["text"] == "caf?"


def test_runs_at_the_same_time_share_one_index(history: History) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom runbook.audit import AuditTrail\n"
        "for n in range(10):\n"
        "    name = f'{sys.argv[2]}-{n}'\n"
        "    trail = AuditTrail(Path(sys.argv[1]) / f'{name}.jsonl')\n"
        "    trail.write('start', run=name, runbook='r', cluster='c', requested_by='x')\n"
        "    trail.write('end', outcome='completed', changed=0)\n"
        "    trail.close()\n"
    )
    argv = [sys.executable, "-c", program, str(history.audit)]
    started = [subprocess.Popen([*argv, name], cwd=REPOSITORY) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    verdict = verified(history.audit)
    assert verdict.findings == ()
    assert verdict.runs == 30


def test_an_entry_costs_little_more_than_its_fsync(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "record.jsonl")
    began = time.perf_counter()
    for number in range(200):
        trail.write("intent", goal="goal", where="host", command="x" * 200, number_of=number)
    each = (time.perf_counter() - began) / 200
    trail.close()
    print(f"{each * 1000:.2f} ms for each entry")
    assert each < 0.1
