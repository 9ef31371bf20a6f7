"""pg_waldump: what stands in WAL files, and where they end.

Named by a directory alone, it learns the size of WAL files from any file there, and gives up on
one that was made beforehand and never written. So the first and the last file are always named.
"""

from __future__ import annotations

import re

from runbook.hosts import Command

# Where the WAL ends, as pg_waldump says it.
ENDS = re.compile(r"(?:record length at|record at|contrecord at|after) ([0-9A-F]+/[0-9A-F]+)")

GONE = "is gone, and later WAL is there"
"""What is said where the first file was removed or recycled: then nothing can be counted."""

# One line: how many transactions were committed, when the first and the last; then what
# pg_waldump says where the WAL ends, which it calls an error: WAL files end in the middle.
# Without the first file the WAL ends before it, or the server has recycled it: later files tell.
# Arguments: directory, first file, position, program.
_COMMITS = """export LC_ALL=C
directory=$1 first=$2 start=$3 program=$4
written() { case $(head -c 2 "$1" 2>/dev/null | od -An -tx1) in ''|' 00 00') return 1;; esac; }
if [ ! -e "$directory/$first" ]; then
  for later in $(ls "$directory" | awk -v first="$first" 'length($0) == 24 && $0 "" > first "" &&
    substr($0, 1, 8) == substr(first, 1, 8)'); do
    if written "$directory/$later"; then
      printf '0||\\n%s is gone, and later WAL is there\\n' "$first"; exit
    fi
  done
fi
if ! written "$directory/$first"; then printf '0||\\nno record after %s\\n' "$start"; exit; fi
last=$first; passed=no
for file in "$directory/${first%????????????????}"????????????????; do
  if [ "${file##*/}" = "$first" ]; then passed=yes; fi
  if [ $passed = yes ] && written "$file"; then last=${file##*/}; fi
done
{ "$program" -p "$directory" -s "$start" -r Transaction "$first" "$last"; echo "exit $?"; } 2>&1 |
awk '
  /desc: COMMIT/ { n++; t = $0; sub(/.*desc: COMMIT[A-Z_]* /, "", t); sub(/;.*/, "", t)
    if (n == 1) first = t; last = t }
  /^pg_waldump: error/ { said = $0 }
  /^exit / { if ($2 != 0 && said == "") said = other }
  { other = $0 }
  END { print n + 0 "|" first "|" last; print said }'
"""


def commits(program: str, directory: str, first: str, start: str, *, user: str) -> Command:
    """Count the commits from a position in the WAL file `first` on.

    The last line tells where the WAL ends; it is empty when it ends with its last file, and says
    GONE when the first file is no longer there.

    Ref.: PostgreSQL documentation, pg_waldump
    """
    argv = ("sh", "-c", _COMMITS, "commits", f"{directory}/pg_wal", first, start, program)
    return Command(argv, user=user, timeout=600)


def record(
    program: str, directory: str, file: str, position: str, *, user: str, last: str = ""
) -> Command:
    """Print the one record at a position in a WAL file, which may end in the file `last`.

    Ref.: PostgreSQL documentation, pg_waldump
    """
    files = (file, last or file)
    argv = (program, "-p", f"{directory}/pg_wal", "-s", position, "-n", "1", *files)
    return Command(argv, user=user, env=(("LC_ALL", "C"),), timeout=60)
