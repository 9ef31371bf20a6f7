"""Audit records: are they still what was written, and by whom is that vouched for?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli import audit_keeping, audit_review
from deployments.cli.settings import InventoryOption, JsonOption

if TYPE_CHECKING:
    from runbook.audit.chain import Entry
    from runbook.audit.verification import Verdict

app: typer.Typer = typer.Typer(no_args_is_help=True, help="Audit records of runs.")
audit_review.add_to(app)
audit_keeping.add_to(app)


@app.callback()
def audit() -> None:
    """Audit records of runs."""


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="One record; else all of this machine.", exists=True)
    ] = None,
    *,
    against: Annotated[
        str, typer.Option(help="Also compare with the copies in this store.", metavar="STORE")
    ] = "",
    signers: Annotated[
        Path | None,
        typer.Option(help="Allowed signers of anchors, as ssh-keygen reads them.", exists=True),
    ] = None,
    inventory: InventoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every record, the index and the anchors; exit 1 and the places of what was changed."""
    if file is not None:
        _one(file, as_json=as_json)
        return
    from runbook.audit.anchor import anchor_findings
    from runbook.audit.verification import Verdict, verified
    from runbook.places import state_directory

    audit = state_directory() / "audit"
    verdict = verified(audit)
    anchors, anchored = anchor_findings(audit, signers)
    findings = [*verdict.findings, *anchors]
    if against:
        findings += audit_keeping.compared(audit, against, inventory)
    _tell(Verdict(tuple(findings), verdict.runs, verdict.entries, verdict.size), anchored, as_json)


def _tell(verdict: Verdict, anchored: str, as_json: bool) -> None:
    whole = not verdict.broken
    if as_json:
        told = {
            "whole": whole,
            "runs": verdict.runs,
            "entries": verdict.entries,
            "bytes": verdict.size,
            "anchored": anchored,
            "findings": [vars(found) for found in verdict.findings],
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for found in verdict.findings:
            print(found)
        state = "whole: no edit, no gap" if whole else f"BROKEN: {len(verdict.broken)} places"
        print(f"{verdict.runs} runs, {verdict.entries} entries, {state}")
        print(f"anchored: {anchored}")
    if not whole:
        raise typer.Exit(1)


def _one(file: Path, *, as_json: bool) -> None:
    """Verify one record: its chain, and its seal where the index lies beside it."""
    from runbook.audit import read_trail
    from runbook.audit.verification import single_findings
    from runbook.errors import Damaged

    entries = read_trail(file)
    found = single_findings(file)
    broken = [each for each in found if each.level == "broken"]
    if broken:
        raise Damaged(
            f"{file}: the record is broken at line {broken[0].line}",
            detail="\n".join(map(str, broken)),
            hint="Compare with the copy in the audit store.",
        )
    about = _about(file, entries)
    if as_json:
        print(json.dumps(about, indent=2, ensure_ascii=False, default=str))
        return
    print(f"{file}: whole, {len(entries)} entries, no edit, no gap")
    for each in found:
        print(f"  {each.level:13} {each.what}")
    for name in ("runbook", "cluster", "requested_by", "began", "outcome"):
        print(f"  {name.replace('_', ' '):13} {about[name]}")
    for entry in entries:
        if entry["event"] == "answer":
            print(f"  {'answer':13} {entry['decision']} by {entry['approver']}: {entry['reason']}")


def _about(file: Path, entries: list[Entry]) -> Entry:
    start = next((entry for entry in entries if entry["event"] == "start"), {})
    ends = [entry for entry in entries if entry["event"] == "end"]
    answers = [entry for entry in entries if entry["event"] == "answer"]
    return {
        "file": str(file),
        "entries": len(entries),
        "runbook": start.get("runbook", ""),
        "cluster": start.get("cluster", ""),
        "requested_by": start.get("requested_by", ""),
        "approved_by": [entry.get("approver", "") for entry in answers],
        "began": entries[0]["at"] if entries else "",
        "outcome": ends[-1]["outcome"] if ends else "not ended",
    }
