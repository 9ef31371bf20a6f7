"""The swap: old data aside, restored data in its place, by renaming; safe to start again."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.actions import Action, Execute
from runbook.hosts import Command, Host
from runbook.restore.marks import RESTORED
from runbook.restore.place import Place

# A server that came up in the last moment works in the directory, whatever its name is by now.
_NOBODY = """
nobody_works_in() {
  for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    case $name in
      postgres|postmaster) if [ "$process/cwd" -ef "$1" ]; then return 1; fi;;
    esac
  done 2>/dev/null
}
missing_or_done() {
  if [ -d "$live" ]; then exit 0; fi
  echo "$new is missing" >&2; exit 3
}
"""

# Arguments: live, new, aside, name of the mark that moves last, entries to move, "aside" for the
# first half alone.
_WHOLE = """set -eu
live=$1 new=$2 aside=$3 only_half=$6
if [ ! -d "$new" ]; then missing_or_done; fi
if [ -d "$live" ] && [ ! -e "$aside" ]; then
  if [ -L "$live/pg_wal" ] && [ "$(ls -A "$live")" = pg_wal ]; then rm "$live/pg_wal"; fi
  if ! rmdir "$live" 2>/dev/null; then
    mv -T "$live" "$aside"
    if ! nobody_works_in "$aside"; then
      mv -T "$aside" "$live"
      echo "a server was started in $live in this very moment; all is as it was" >&2; exit 4
    fi
  fi
fi
if [ -e "$live" ] && ! rmdir "$live" 2>/dev/null; then
  echo "$live was made anew while its data stood aside as $aside or $new:" \
    "stop what made it, move it away, and start again" >&2; exit 5
fi
if [ "$only_half" = aside ]; then sync "$(dirname "$live")"; exit 0; fi
mv -T "$new" "$live"
sync "$live" "$(dirname "$live")"
"""

_ENTRIES = """set -eu
cd /
live=$1 new=$2 aside=$3 mark=$4 only=$5 only_half=$6
if [ ! -d "$new" ]; then missing_or_done; fi
if [ ! -e "$aside/pgsql_tmp_all_aside" ]; then
  mkdir -p -m 700 "$aside"
  # Without PG_VERSION no server starts here: it goes first and comes last.
  if [ "$only" = '*' ] && [ -e "$live/PG_VERSION" ]; then
    mv "$live/PG_VERSION" "$aside/"
    if ! nobody_works_in "$live"; then
      mv "$aside/PG_VERSION" "$live/"; rmdir "$aside"
      echo "a server was started in $live in this very moment; all is as it was" >&2; exit 4
    fi
  fi
  find "$live" -mindepth 1 -maxdepth 1 -name "$only" ! -name lost+found \
    ! -name 'pgsql_tmp_incoming-*' ! -name 'pgsql_tmp_aside-*' ! -name 'pgsql_tmp_undone-*' \
    ! -name pgsql_tmp_stopped -exec mv -t "$aside" -- {} +
  : >"$aside/pgsql_tmp_all_aside"; sync "$aside" "$live"
fi
if [ "$only_half" = aside ]; then exit 0; fi
find "$new" -mindepth 1 -maxdepth 1 ! -name "$mark" ! -name PG_VERSION -exec mv -t "$live" -- {} +
for last in PG_VERSION "$mark"; do
  if [ -e "$new/$last" ]; then mv "$new/$last" "$live/"; fi
done
rm -f "$live/pgsql_tmp_all_aside"; rmdir "$new"
if [ "$(ls -A "$aside")" = pgsql_tmp_all_aside ]; then rm -r "$aside"; fi
sync "$live"
"""


def swap(
    place: Place, new: str, aside: str, *, user: str, mark: str = RESTORED, only_half: str = ""
) -> Command:
    """Put `new` in the place of what lives there, which is kept as `aside`.

    Started again after an interruption it goes on where it was. The file `mark` of the new data
    moves last, so that what bears it is whole. A server that works there makes it refuse. With
    `only_half` "aside" the new data stays where it is.
    """
    script = _NOBODY + (_WHOLE if place.whole else _ENTRIES)
    argv = ("sh", "-c", script, "swap", place.live, new, aside, mark, place.only, only_half)
    return Command(argv, user=user)


def shown(place: Place, new: str, aside: str) -> str:
    """Give the lines that a person would type for the swap."""
    if place.whole:
        return f"mv {place.live} {aside} && mv {new} {place.live}"
    return f"mv {place.live}/{place.only} {aside}/ && mv {new}/* {place.live}/"


def swaps(
    host: Host,
    places: Sequence[Place],
    made: str,
    stamp: str,
    *,
    user: str,
    first: Place | None = None,
) -> tuple[Action, ...]:
    """Put what was made ready under the name `made` in every place; the old is kept by `stamp`.

    `first`: the place whose old data is aside before any other place is swapped, so that no server
    starts there on half of the new data.
    """
    actions: list[Action] = []
    if first is not None:
        new, aside = first.incoming(made), first.aside(stamp)
        command = swap(first, new, aside, user=user, only_half="aside")
        actions.append(Execute(host, command, shown=shown(first, new, aside).partition(" && ")[0]))
    for place in places:
        new, aside = place.incoming(made), place.aside(stamp)
        line = shown(place, new, aside)
        line = line.partition(" && ")[2] if place == first else line
        actions.append(Execute(host, swap(place, new, aside, user=user), shown=line))
    return tuple(actions)


def emptied(host: Host, places: Sequence[Place], *, user: str) -> tuple[Action, ...]:
    """Remove what lives in every place for good."""
    return tuple(
        Execute(host, empty(place, user=user), shown=f"rm -rf {place.live}/{place.only}")
        for place in places
    )


def remove(*directories: str, user: str) -> Command:
    """Remove directories that were set aside or made ready, mount points in them excepted.

    Ref.: rm(1)
    """
    return Command(("rm", "-rf", "--one-file-system", "--", *directories), user=user, leashed=True)


def empty(place: Place, *, user: str) -> Command:
    """Remove what lives in a place for good; the directory and a link of its WAL stay.

    PG_VERSION goes last, so that an interrupted removal is known for what it is.
    Ref.: find(1), -delete
    """
    script = """set -eu
cd /
find "$1" -xdev -mindepth 1 -path "$1/$2*" ! -path "$1/pgsql_tmp_incoming-*" \
  ! -path "$1/pgsql_tmp_aside-*" ! -path "$1/pgsql_tmp_undone-*" ! -path "$1/pgsql_tmp_stopped" \
  ! -path "$1/lost+found*" ! -path "$1/PG_VERSION" ! \\( -path "$1/pg_wal" -type l \\) -delete
rm -f "$1/PG_VERSION"
"""
    stem = place.only.removesuffix("*")
    argv = ("sh", "-c", script, "empty", place.live, stem)
    return Command(argv, user=user, leashed=True)
