"""Limits that a standby must have at least as high as its primary, or it does not come up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.readiness import AT_LEAST

# What a server would start with: its file, without or with a postgresql.auto.conf. What stands on
# its command line is its supervisor's, and may be another at the next start: that is not told.
# Arguments: its own files, where they were saved, postgres, where postgresql.auto.conf is, names.
_WOULD_BE = """
own=$1 saved=$2 postgres=$3 auto=$4; shift 4
if [ -d "$saved" ]; then own=$saved; fi
options=$(cat "$own/postmaster.opts" 2>/dev/null || :)
file=$(echo "$options" | sed -n 's/.*"config_file=\\([^"]*\\)".*/\\1/p')
[ -f "${file:=$own/postgresql.conf}" ] || exit 0
echo "file $file"
for name in "$@"; do
  if echo "$options" | grep -qi -e "$(echo "$name" | tr _ .)=" -e '"-N'; then continue; fi
  value=$("$postgres" -C "$name" -D "$own" -c "config_file=$file" -c "data_directory=$auto" \
    2>/dev/null) && echo "$name $value"
done
true
"""

_NO_DIRECTORY = "/nonexistent"
_NAMES = ", ".join(f"'{name}'" for name in AT_LEAST)
_RUNNING = f"""
SELECT s.name, s.setting, f.setting AS comes_along
FROM pg_catalog.pg_settings AS s LEFT JOIN (
  SELECT DISTINCT ON (name) name, setting FROM pg_catalog.pg_file_settings
  WHERE sourcefile LIKE '%/postgresql.auto.conf' ORDER BY name, seqno DESC) AS f USING (name)
WHERE s.name IN ({_NAMES})
"""


@dataclass(frozen=True)
class TooSmall:
    """Limits below the primary's, as `name mine < theirs`, and the file that says so."""

    file: str = ""
    names: tuple[str, ...] = ()


def of_a_clone(node: Node, primary: Node, own: str, saved: str) -> TooSmall:
    """Compare a standby's own files with the primary, whose postgresql.auto.conf comes along."""
    file, mine = _would_be(node, own, saved, _NO_DIRECTORY)
    return _smaller(file, mine, primary, comes_along=True)


def of_a_return(node: Node, primary: Node) -> TooSmall:
    """Compare all of a node's configuration with the primary: a rejoin keeps it."""
    file, mine = _would_be(node, node.directory(), "", node.directory())
    return _smaller(file, mine, primary, comes_along=False)


def _would_be(node: Node, own: str, saved: str, auto: str) -> tuple[str, Mapping[str, int]]:
    postgres = node.program("postgres")
    argv = ("sh", "-c", _WOULD_BE, "limits", own, saved, postgres, auto, *AT_LEAST)
    said = node.host.attempt(Command(argv, user=node.os_user, timeout=60)).stdout
    words = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    file = words.pop("file", "")
    return file, {name: int(value) for name, value in words.items() if value.isdigit()}


def _smaller(file: str, mine: Mapping[str, int], primary: Node, *, comes_along: bool) -> TooSmall:
    found = []
    for row in primary.ask(_RUNNING) if mine else ():
        name, theirs = str(row["name"]), int(str(row["setting"]))
        along = row["comes_along"] if comes_along else None
        value = int(str(along)) if str(along).isdigit() else mine.get(name, theirs)
        if value < theirs:
            found.append(f"{name} {value} < {theirs}")
    return TooSmall(file, tuple(sorted(found)))
