"""pg_restore: reading archives of pg_dump, and loading them."""

from __future__ import annotations

from runbook.hosts import Command
from runbook.tools import libpq

WHOLE = "exit code 0"
"""The last line of `counted` when the archive was read to its end."""

# A pipe has the exit code of its last program alone: that of pg_restore is written into it.
_COUNT = r"""{ "$1" --data-only -f - "$2"; echo "exit code $?"; } | awk '
inside {
  if ($0 == "\\.") { printf "%.0f\t%s\n", rows, copy; inside = 0; copy = "" } else rows++
  next
}
copy != "" || /^COPY / {
  copy = copy == "" ? $0 : copy "\001" $0
  if (/ FROM stdin;$/) { inside = 1; rows = 0 }
  next
}
{ last = $0 }
END { print inside ? "cut" : last }'
"""


# The sum is made meanwhile: it asks less of a core than pg_restore, and of no disk twice.
_READ_AND_SUM = r"""sha256sum -- "$2" & summing=$!
"$1" -f /dev/null "$2"; read=$?
wait "$summing" && exit "$read"
"""


def read_whole(program: str, path: str, *, user: str) -> Command:
    """Read an archive to its last byte; --list is content with the table of contents of a cut one.

    Ref.: PostgreSQL documentation, pg_restore
    """
    return Command((program, "-f", "/dev/null", path), user=user, env=libpq.ENV, leashed=True)


def read_and_summed(program: str, path: str, *, user: str) -> Command:
    """Read an archive to its last byte as `read_whole` does, and give its SHA-256."""
    argv = ("sh", "-c", _READ_AND_SUM, "read", program, path)
    return Command(argv, user=user, env=libpq.ENV, leashed=True)


def load(
    program: str, path: str, *, user: str, port: int, socket: str, database: str, jobs: int
) -> Command:
    """Load an archive into an empty database, and stop at the first error.

    Ref.: PostgreSQL documentation, pg_restore
    """
    argv = (
        *(program, "--exit-on-error", "-w", "-j", str(jobs)),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), "-d", database, path),
    )
    return Command(argv, user=user, env=(*libpq.ENV, libpq.patience(0)), leashed=True)


def contents(program: str, path: str, *, user: str) -> Command:
    """List the table of contents of an archive that was read to its end before.

    Ref.: PostgreSQL documentation, pg_restore
    """
    return Command((program, "-l", path), user=user, env=libpq.ENV, timeout=300)


def counted(program: str, path: str, *, user: str) -> Command:
    """Read an archive's rows; give each COPY with their number, and at last how it ended.

    Ref.: PostgreSQL documentation, pg_restore
    """
    argv = ("sh", "-c", _COUNT, "count", program, path)
    return Command(argv, user=user, env=libpq.ENV, leashed=True)
