"""What a run's record gives to its pages in the UI: who approved, and where the proof lies."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows._audit import copy_for
from runbook.audit import Entry
from runbook.audit.chain import walk
from runbook.audit.summary import is_of_a_part
from runbook.places import state_directory

_EVERYONE_MAY_TYPE_IT = "a name as typed"


def record_of(run: str) -> Path:
    """Give the path of a run's record."""
    return state_directory() / "audit" / f"{run}.jsonl"


def entries_of(run: str) -> Sequence[Entry]:
    """Read a run's record as far as it goes; a dry run has none."""
    path = record_of(run)
    return walk(path.read_bytes()).entries if path.exists() else ()


def backup_on_record(entries: Sequence[Entry]) -> str:
    """Give the id of the backup that was last taken, restored or verified; empty for none.

    What a part of a larger run has taken is not what the run is about.
    """
    ours = [entry for entry in entries if entry["event"] == "backup" and not is_of_a_part(entry)]
    ids = [str(entry["id"]) for entry in ours]
    return ids[-1] if ids else ""


def approval_told(entries: Sequence[Entry]) -> str:
    """Say in one line how the last question was answered; empty where none was asked."""
    asked = [at for at, entry in enumerate(entries) if entry["event"] == "asked"]
    if not asked:
        return ""
    answers = [entry for entry in entries[asked[-1] :] if entry["event"] == "answer"]
    if not answers:
        return "not answered"
    last = answers[-1]
    return f"{_decided(last)} by {last['approver']} at {_clock(last['answered_at'])}"


def approval_page(entries: Sequence[Entry]) -> str:
    """Write every answer of a run as a table of its own: what was asked, who answered, and how."""
    tables, question, asked = [], "", dict[str, str]()
    for entry in entries:
        if entry["event"] == "asked":
            question = str(entry["question"]).partition("\n")[0]
            asked.setdefault(str(entry["digest"]), str(entry["at"]))
        elif entry["event"] == "answer":
            tables.append(_table(_rows(entry, question, asked)))
    return "\n\n".join(tables)


def evidence_page(run: str, cluster: str) -> str:
    """Say where the record of a run lies, where its copy, and how both are read."""
    lines = [f"- record: `{record_of(run)}` on {socket.gethostname()}"]
    copy = copy_for(cluster)
    if copy is not None:
        lines.append(f"- copy: store `{copy.settings.store}`, `{copy.prefix}/runs/{run}/`")
    lines += [
        f"- to read it: `pg-runbooks audit show {run}`",
        f"- for a reviewer, as one HTML file: `pg-runbooks audit report {run}`",
        "- to see that nothing was changed in it: `pg-runbooks audit verify`",
    ]
    return "\n".join(lines)


def _rows(answer: Entry, question: str, asked: dict[str, str]) -> Iterator[tuple[str, str]]:
    digest = str(answer["plan_digest"])
    yield "asked", question
    yield "answer", _decided(answer)
    yield "by", str(answer["approver"])
    yield "through", str(answer["door"])
    yield "verified", str(answer.get("verified") or _EVERYONE_MAY_TYPE_IT)
    yield "reason", str(answer["reason"])
    if answer.get("why"):
        yield "does not count", str(answer["why"])
    if digest in asked:
        yield "asked at", _clock(asked[digest])
    yield "answered at", _clock(answer["answered_at"])
    yield "plan", f"SHA-256 {digest}"


def _decided(answer: Entry) -> str:
    if answer["decision"] != "approve":
        return "refused"
    return "approved" if answer.get("counts", True) else "approved without effect"


def _table(rows: Iterator[tuple[str, str]]) -> str:
    lines = [f"| {name} | {_cell(text)} |" for name, text in rows if text]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(text: str) -> str:
    return re.sub(r"([|<>`\\])", r"\\\1", re.sub(r"\s+", " ", text).strip())


def _clock(moment: object) -> str:
    """Give a moment of the record as people write it; records are in UTC."""
    return f"{str(moment)[:19].replace('T', ' ')} UTC"
