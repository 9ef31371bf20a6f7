"""Evidence of a platform's backup: one table, one row for each part, and what failed."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from runbook.errors import GoalNotReached, SettingsError
from runbook.parts import Part, Parts
from runbook.plan import Fact
from runbook.run import current
from runbook.together import raise_all
from runbook.units import readable_bytes
from tasks._task import task

_HEAD = (
    "| part | outcome | what | finished (UTC) | verified (UTC) | size | SHA-256 | where |\n"
    "|---|---|---|---|---|--:|---|---|"
)


@task("show the evidence, and what failed")
def show(parts: Parts) -> None:
    """Tell what became of every part; fail with the names of those that are not whole."""
    run = current()
    if run.planning:
        _plan(parts)
        return
    failed, counted = parts.failed, f"{len(parts.whole)} of {_count(parts)} parts"
    run.record(
        "parts",
        role="taken in part" if failed else "taken",
        id=counted,
        size=_size(parts),
        stored=_size(parts),
        seconds=round(time.monotonic() - parts.began, 3),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        clusters=parts.by_cluster,
    )
    table = "\n".join([_HEAD, *(_row(part) for part in parts.ended), "", *_grid(parts)])
    run.watcher.finished(f"Evidence: {counted} of platform {run.cluster} are whole", table)
    if failed:
        raise GoalNotReached(
            f"{counted} are whole; failed: {', '.join(map(str, failed))}",
            detail="\n".join(f"{part}:\n{part.error}" for part in failed),
            hint="What is whole is verified, and remains. Remove the cause, then start this run "
            "again (Retry): it does what is missing, and nothing twice.",
        )


def _plan(parts: Parts) -> None:
    """Tell in the plan what will be done, what is not set, and what cannot be done."""
    missing = [f"{part.runbook} ({part.why})" for part in parts.ended if not part.of]
    words = {"whole": "yes", "failed": "CANNOT BE DONE"}
    each_one = {
        f"backed up of {name}": ", ".join(f"{work}: {words.get(end, end)}" for work, end in of_it)
        for name, of_it in ((name, found.items()) for name, found in parts.by_cluster.items())
    }
    facts = {
        **{f"CANNOT BE DONE: {each}": each.error.message for each in parts.failed if each.error},
        "parts": ", ".join(map(str, parts.whole)) or "none",
        "not set, and not backed up": ", ".join(missing) or "none",
        **each_one,
    }
    current().builder.lead(*(Fact(name=name, value=value) for name, value in facts.items()))
    if parts.whole:
        return
    raise_all([part.error for part in parts.failed if part.error])
    raise SettingsError(
        f"cluster {current().cluster} has nothing that platform-backup backs up",
        detail=", ".join(missing),
        hint="Set components, orchestrator or exports, or name the clusters that have them: "
        "platform: {clusters: [NAME]}.",
    )


def _count(parts: Parts) -> int:
    return len(parts.whole) + len(parts.failed)


def _size(parts: Parts) -> int:
    return sum(part.size for part in parts.ended)


def _grid(parts: Parts) -> list[str]:
    """Write what became of every runbook on every cluster, as a table of its own."""
    found = parts.by_cluster
    runbooks = list(dict.fromkeys(work for of_it in found.values() for work in of_it))
    rows = ((name, *(of_it.get(work, "") for work in runbooks)) for name, of_it in found.items())
    lines = [("cluster", *runbooks), ("---",) * (len(runbooks) + 1), *rows]
    return [f"| {' | '.join(_flat(cell) for cell in line)} |" for line in lines]


def _row(part: Part) -> str:
    told = part.told()
    what = told["what"] or "nothing"
    outcome = part.outcome if part.outcome == "whole" else f"**{part.outcome.upper()}**"
    why = f" — {part.error.message if part.error else part.why}" if told["why"] else ""
    moments = (_clock(told["finished"]), _clock(told["verified"]))
    checksum = f"`{told['sha256']}`" if told["sha256"] else ""
    where = f"`{told['where']}`" if told["where"] else ""
    cells = (part, outcome, f"{what}{why}", *moments, readable_bytes(part.size), checksum, where)
    return f"| {' | '.join(_flat(str(cell)) for cell in cells)} |"


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _clock(moment: object) -> str:
    return str(moment)[:19].replace("T", " ")
