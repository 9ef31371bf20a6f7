"""The page of one run."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from runbook.audit.chain import Entry, Finding, walk
from runbook.audit.chain_file import whole_digest
from runbook.audit.report.page import written
from runbook.audit.report.run_view import RunView, moment, view
from runbook.audit.report.timeline import timeline
from runbook.objectives import figures
from runbook.plan import BOXES
from runbook.units import readable_seconds


def run_page(path: Path, findings: tuple[Finding, ...]) -> str:
    """Write the page of a record; `findings` are what its verification told."""
    content = path.read_bytes()
    seen = view(path.stem, walk(content).entries)
    return written(
        "run.html",
        {
            "seen": seen,
            "boxes": BOXES,
            "drawn": timeline(seen),
            "took": _apart(seen.began, seen.ended),
            "waited": sum(_apart(*wait) or 0.0 for wait in seen.waits),
            "measured": list(figures(seen.summary.fields.get("measured"))),
            "age": lambda backup: _age(seen, backup),
            "chain": chain_status(findings),
            "findings": findings,
            "file": str(path),
            "entries": content.count(b"\n"),
            "size": len(content),
            "sha256": whole_digest(content),
            "made": datetime.now(UTC).isoformat(),
            "version": version("pg-runbooks"),
            "host": seen.about("host"),
        },
    )


def chain_status(findings: tuple[Finding, ...]) -> str:
    """Give a word for what a verification found."""
    levels = {found.level for found in findings}
    return "broken" if "broken" in levels else "not sealed" if "open" in levels else "whole"


def _age(seen: RunView, backup: Entry) -> str:
    """Tell how old a backup was when the run began; a backup that it took has no age."""
    if backup.get("role") == "taken":
        return ""
    seconds = _apart(str(backup.get("finished", "")), seen.began)
    return readable_seconds(seconds) if seconds is not None and seconds >= 0 else ""


def _apart(first: str, last: str) -> float | None:
    began, ended = moment(first), moment(last)
    return (ended - began).total_seconds() if began and ended else None
