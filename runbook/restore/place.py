"""Places that data lives in, and the directories beside them that a restore uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from runbook.hosts import Command, Host

_WITHIN = "pgsql_tmp"  # what begins so is left out of base backups

_DESCRIBE = """
cd /
d=$(readlink -f "$1") || d=$1
parent=$(dirname "$d")
e=$d; while [ ! -e "$e" ]; do e=$(dirname "$e"); done
device=$(stat -c %d "$e")
stays=no
if [ ! -w "$parent" ]; then stays=closed
elif mountpoint -q "$d" || [ "$(stat -c %d "$parent")" != "$device" ]; then stays=mount; fi
if [ -d "$d" ]; then echo "exists yes"; else echo "exists no"; fi
echo "real $d"
echo "stays $stays"
echo "owner $(stat -c %U "$d" 2>/dev/null)"
echo "entries $(find "$d" -mindepth 1 -maxdepth 1 ! -name 'pgsql_tmp*' ! -name lost+found \
! \\( -name pg_wal -type l \\) 2>/dev/null | wc -l)"
echo "version $(cat "$d/PG_VERSION" 2>/dev/null)"
echo "wal $(if [ -L "$d/pg_wal" ]; then readlink -m "$d/pg_wal"; fi)"
echo "inside $(awk -v d="$d/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | head -n 1)"
echo "staged $(du -scxB1 -- "$d".incoming-*/ "$d"/pgsql_tmp_incoming-*/ 2>/dev/null \
| tail -n 1 | cut -f 1)"
echo "stands $e"
echo "device $device"
set -- $(stat -f -c '%S %b %a' "$e")
echo "size $(($1 * $2))"
echo "free $(($1 * $3))"
"""

_KEPT = 'cd "$1" 2>/dev/null && find . -mindepth 1 -maxdepth 1 -type d'


@dataclass(frozen=True)
class Look:
    """What was seen of a directory; `real` is where symbolic links lead to.

    `stays` tells why it cannot be renamed: "mount", "closed" (its parent is), or "no" reason.
    `mounted_inside` is a mount point below it. `staged` are the bytes of restored data that a run
    has made ready there, `free` those that are free, of `size` in all. `stands` is the directory
    itself, or the nearest above it that is there.
    """

    exists: bool
    real: str
    stays: str
    owner: str
    entries: int
    version: str
    wal_link: str
    mounted_inside: str
    staged: int
    free: int
    size: int
    stands: str
    device: str


def look(host: Host, directory: str, user: str) -> Look:
    """Look at a directory as its owner does."""
    text = host.read("sh", "-c", _DESCRIBE, "look", directory, user=user)
    seen = {key: value for key, _, value in (row.partition(" ") for row in text.splitlines())}
    return Look(
        exists=seen["exists"] == "yes",
        real=seen["real"],
        stays=seen["stays"],
        owner=seen["owner"],
        entries=int(seen["entries"]),
        version=seen["version"],
        wal_link=seen["wal"],
        mounted_inside=seen["inside"],
        staged=int(seen["staged"] or 0),
        free=int(seen["free"]),
        size=int(seen["size"]),
        stands=seen["stands"],
        device=seen["device"],
    )


@dataclass(frozen=True)
class Place:
    """A directory whose contents are replaced: of the data, of its WAL, or of a tablespace.

    Renamed as a whole where that can be; where the directory must stay (a mount point, a parent
    that is not ours, a tablespace), its entries move into a directory inside it. `only` restricts
    what moves, as a pattern for find -name.
    """

    live: str
    whole: bool
    only: str = "*"

    def incoming(self, backup_id: str) -> str:
        """Name the directory where the restored data is made ready."""
        return self._beside(f"incoming-{backup_id}")

    def aside(self, stamp: str) -> str:
        """Name the directory where the old data is kept."""
        return self._beside(f"aside-{stamp}")

    def undone(self, stamp: str) -> str:
        """Name the directory where restored data is kept after it was taken out again."""
        return self._beside(f"undone-{stamp}")

    def diverged(self, since: str) -> str:
        """Name the directory where the WAL is kept that only this node had."""
        return self._beside(f"diverged-{since}")

    def state(self, name: str) -> str:
        """Name a file beside the data that tells how far a procedure has come."""
        return self._beside(name)

    @property
    def stopped(self) -> str:
        """Name the file with the moment of the first stop of a restore."""
        return self._beside("stopped")

    def _beside(self, name: str) -> str:
        return f"{self.live}.{name}" if self.whole else f"{self.live}/{_WITHIN}_{name}"


def kept(host: Host, place: Place, user: str) -> dict[str, tuple[str, ...]]:
    """List what is kept of a place, by kind: stamps of aside, undone, diverged; ids of incoming."""
    path = PurePosixPath(place.aside(""))
    stem = path.name.removesuffix("aside-")
    argv = ("sh", "-c", _KEPT, "kept", str(path.parent))
    done = host.attempt(Command(argv, user=user, timeout=60))
    rows = [row.removeprefix("./") for row in done.stdout.splitlines()]
    names = sorted(row.removeprefix(stem) for row in rows if row.startswith(stem))
    return {
        kind: tuple(name.removeprefix(f"{kind}-") for name in names if name.startswith(f"{kind}-"))
        for kind in ("incoming", "aside", "undone", "diverged")
    }


def whole_place(seen: Look) -> Place:
    """Give the place of a directory that is PostgreSQL's alone: its data, or its WAL."""
    return Place(seen.real, whole=seen.stays == "no")


def tablespace_place(location: str, major: int | str) -> Place:
    """Give the place of a tablespace: only this major version's directory in it is ours."""
    return Place(location, whole=False, only=f"PG_{major}_*")
