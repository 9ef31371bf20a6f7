"""The site's own script of roles and databases, run to its end as the page runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runbook.errors import CommandFailed
from runbook.goals import note
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.tools import libpq

# As psql tells an error in its verbose form, in whatever language the server speaks, and as it
# tells one of its own.
_TOLD = re.compile(r"^psql:.*?:\d+: (?:\S+:\s+([0-9A-Z]{5}): |error: )(.*)$", re.MULTILINE)
_NO_ERRORS = ("00", "01", "02")
_THERE_ALREADY = ("42710", "42P04")
"""A role, or a database: what the script is to see to."""


def line(node: Node, script: str) -> Command:
    """Give the psql line; an error within a transaction of the script takes back itself alone.

    It ends with the run: a second one beside the first would meet its locks.
    """
    words = ("ON_ERROR_ROLLBACK=on", "VERBOSITY=verbose", "SHOW_CONTEXT=never")
    options = tuple(word for each in words for word in ("-v", each))
    socket = ("-h", node.socket_directory) if node.socket_directory else ()
    # For the words of expected errors; a session that the script opens itself may not set it.
    english = ("-c", "SET lc_messages TO 'C'")
    where = (*socket, "-p", str(node.port), "-d", "postgres")
    argv = (node.program("psql"), "-X", "-q", *options, *where, *english, "-f", script)
    command = Command(argv, user=node.server_user, env=libpq.ENV, leashed=True)
    return libpq.without_waiting(command)


def run(node: Node, script: str, expected: Sequence[str]) -> str:
    """Run the whole script; CommandFailed names the errors that are not expected."""
    done = node.console.run(line(node, script))
    harmless, unexpected = list[str](), list[str]()
    for state, said in _errors(done.stderr):
        known = state in _THERE_ALREADY or any(re.search(each, said) for each in expected)
        (harmless if known else unexpected).append(said)
    for said in harmless:
        note(f"{script}: {said}")
    if unexpected:
        raise CommandFailed(
            f"{script} has errors on {node}; the rest of it was run",
            detail="\n".join(unexpected),
        )
    return f"{len(harmless)} errors, all expected"


def _errors(said: str) -> Iterator[tuple[str, str]]:
    for found in _TOLD.finditer(said):
        if (found[1] or "").startswith(_NO_ERRORS):
            continue
        yield found[1] or "", found[2]
