"""A dump inside an archive on the Orchestrator, read as text, whatever its format."""

from __future__ import annotations

from runbook.errors import Damaged
from runbook.hosts import Command
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.places import Live
from runbook.run import current

AS_TEXT = """case $(tar -xzOf "$1" -- "$2" 2>/dev/null | head -c 5) in
PGDMP) tar -xzOf "$1" -- "$2" | "$3" -f - ;;
*) tar -xzOf "$1" -- "$2" ;;
esac
"""
"""Prints a dump; one of the custom format goes through pg_restore."""


def dump_text(live: Live, archive: str, member: str) -> DumpText:
    """Read a dump out of an archive; Damaged when it cannot be read.

    Ref.: pg_restore, -f
    """
    argv = ("sh", "-c", AS_TEXT, "as-text", archive, member, live.node.program("pg_restore"))
    text = DumpText()
    with live.node.host.running(Command(argv, user=live.settings.user, leashed=True)) as process:
        while data := process.read():
            current().go_on()
            text.feed(data)
        code, said = process.wait(), process.stderr()
    if code:
        raise Damaged(
            f"a dump in {archive} on {live} is not whole",
            detail=f"pg_restore cannot read {member}: {said.strip()[-200:]}",
            hint="Nothing was changed by it. Look at the disk there, and start the runbook again.",
        )
    return text
