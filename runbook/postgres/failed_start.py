"""Why a server did not come up: its own last words, and the room that it has left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runbook.errors import CommandFailed, GoalNotReached, RunbookError
from runbook.hosts.disk import Disk, disks
from runbook.postgres.node import Node
from runbook.units import readable_bytes
from runbook.watch import log

_LITTLE = 48 << 20
"""Bytes that a server needs to come up: three segments of WAL."""

# The log collector names its file; before it, and without it, the server writes into the second.
# What is older than this start, by minutes or by the line that begins a log, tells nothing of it.
# Where the server sees another directory (a container), an absolute path of its is not the host's.
_LAST_WORDS = """
log=$(head -n 1 "$1/current_logfiles" 2>/dev/null | cut -d ' ' -f 2-)
case $log in '') log=$2;; /*) [ -n "$3" ] || exit 0;; *) log=$1/$log;; esac
if [ -n "$2" ] && [ "$2" -nt "$log" ]; then log=$2; fi
[ -n "$(find -H "$log" -mmin -5 2>/dev/null)" ] || exit 0
tail -n 200 "$log" | awk '
  /, compiled by / { count = 0 }
  { line[count++] = $0 }
  END {
    for (i = count > 12 ? count - 12 : 0; i < count; i++) {
      if (line[i] ~ /FATAL|PANIC/) told = 1
      if (told) print line[i]
    }
  }'
"""

_PLACES = 'ls -1d "$1" "$1/pg_wal" "$1"/pg_tblspc/* 2>/dev/null; true'


@contextmanager
def explained(node: Node) -> Iterator[None]:
    """Add to the error of a start what the server said last, and which disk of it is full."""
    try:
        yield
    except (CommandFailed, GoalNotReached) as error:
        try:
            _explain(error, node)
        except RunbookError as worse:
            log.warning("%s: why it did not start is not known: %s", node, worse.message)
        raise


def _explain(error: RunbookError, node: Node) -> None:
    words = _last_words(node)
    if words:
        error.detail = f"{error.detail}\nthe server's log on {node.host}:\n{words}".strip()
    full = _full(node)
    if full:
        rooms = ", ".join(f"{disk.mount} ({readable_bytes(disk.free)} free)" for disk in full)
        error.hint = (
            f"Make room on {node.host}: {rooms}. Then start the runbook again; "
            "steps already done are found done."
        )


def _last_words(node: Node) -> str:
    """Give the lines of the server's log from its first fatal one on; empty where none is found."""
    directory, before = node.directory(), node.service.first_log(node)
    same = "same" if node.service.seen_inside(directory) == directory else ""
    script = ("sh", "-c", _LAST_WORDS, "last-words", directory, before, same)
    return node.host.read(*script, user=node.os_user).strip()


def _full(node: Node) -> tuple[Disk, ...]:
    places = node.host.read("sh", "-c", _PLACES, "places", node.directory(), user=node.os_user)
    rooms = disks(node.host, places.splitlines(), user=node.os_user)
    return tuple(disk for disk in dict.fromkeys(rooms.values()) if disk.free < _LITTLE)
