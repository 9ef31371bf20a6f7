"""What restores have set aside on a node: finding it, putting it back, removing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.restore.marks import read_mark
from runbook.restore.outage import StopClock
from runbook.restore.place import Place, kept, look, tablespace_place, whole_place
from runbook.restore.swap import remove, shown, swap

_ALL_ASIDE = "pgsql_tmp_all_aside"  # the swap writes it once all entries have moved
_SIZE = 'du -sxB1 -- "$1" 2>/dev/null | cut -f1'

# Links of tablespaces come with the first start of restored data: until then a file names them.
_LINKS = """test -e "$1/PG_VERSION" || exit 0
cat "$1/PG_VERSION"
if [ -L "$1/pg_wal" ]; then readlink -m "$1/pg_wal"; else echo; fi
for link in "$1"/pg_tblspc/*; do readlink "$link"; done
if [ -e "$1/tablespace_map" ]; then cut -d ' ' -f 2- "$1/tablespace_map"; fi; true
"""

# Arguments: a tablespace's directory, where to keep what is in it, and the pattern of that.
_TAKE_OUT = """set -eu
cd /
set -- "$2" "$1"/$3
if [ ! -e "$2" ]; then exit 0; fi
mkdir -p -m 700 "$1"
mv -t "$@"
sync "$1"
"""


@dataclass(frozen=True)
class Aside:
    """Data that was set aside together: the data directory's, its WAL's and its tablespaces'."""

    node: Node
    stamp: str
    kind: str
    data: Place
    others: tuple[Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """Give all places; the data directory last."""
        return (*self.others, self.data)

    def directory(self, place: Place) -> str:
        """Name where the data of a place is kept."""
        named = {"aside": place.aside, "undone": place.undone, "diverged": place.diverged}
        return named[self.kind](self.stamp)

    @property
    def clock(self) -> StopClock:
        """Give the clock of the restore that has set it aside, or of one that was begun since."""
        return StopClock(self.node.host, self.node.os_user, self.data.stopped)

    def size(self) -> int:
        """Measure the bytes on disk."""
        total = 0
        for place in self.places:
            argv = ("sh", "-c", _SIZE, "size", self.directory(place))
            done = self.node.host.attempt(Command(argv, user=self.node.os_user, timeout=600))
            total += int(done.stdout.strip() or 0)
        return total

    def is_back(self) -> bool:
        """Tell whether it has been put back to its last file."""
        host, user = self.node.host, self.node.os_user
        if self.stamp in kept(host, self.data, user)["aside"]:
            return False
        return host.holds("test", "-e", f"{self.data.live}/PG_VERSION", user=user)

    def overtaken_by(self) -> str:
        """Name the backup that was restored since it was put back; empty if none was.

        The data that a restore sets aside never bears that restore's mark, or a later one.
        """
        if self.kind != "undone":
            return ""
        mark = read_mark(self.node.host, self.data.live, self.node.os_user)
        return mark.backup if mark is not None and mark.stamp >= self.stamp else ""

    def needed(self) -> str:
        """Tell why it may be the only copy, or the way back of a run under way; empty if not."""
        host, user = self.node.host, self.node.os_user
        if not host.holds("test", "-e", f"{self.data.live}/PG_VERSION", user=user):
            return f"{self.data.live} holds no data now"
        half = self._begun_by() if self.kind == "aside" else ""
        if half:
            return f"the restore of {half}, which set it aside, is half in place"
        return "it is half put back" if self.is_half_back() else ""

    def is_half_back(self) -> bool:
        """Tell whether an undo has put it back in some places and not in all."""
        host, user = self.node.host, self.node.os_user
        places = (*self.places, *self.brought())
        back = (self.stamp in kept(host, place, user)["undone"] for place in places)
        return self.kind == "aside" and any(back)

    def brought(self) -> tuple[Place, ...]:
        """Give the tablespaces that only the restored data has: nothing was set aside there.

        That data is of the restore that set this aside, or of a later one.
        """
        host, user, live = self.node.host, self.node.os_user, self.data.live
        mark, made = read_mark(host, live, user), self._begun_by()
        came: tuple[str, ...] = (live,) if mark is not None and mark.stamp >= self.stamp else ()
        came += (self.data.incoming(made),) if made else ()
        own = _linked(self.node, self.directory(self.data))
        found = (place for directory in came for place in _linked(self.node, directory))
        return tuple(place for place in dict.fromkeys(found) if place not in own)

    def is_whole(self) -> bool:
        """Tell whether all of the old data went aside, also where its entries move one by one."""
        host, user = self.node.host, self.node.os_user
        marks = [f"{self.directory(p)}/{_ALL_ASIDE}" for p in self.places if not p.whole]
        return all(host.holds("test", "-e", mark, user=user) for mark in marks)

    def is_gone(self) -> bool:
        """Tell whether it has been removed."""
        user = self.node.os_user
        return all(
            self.stamp not in kept(self.node.host, place, user)[self.kind] for place in self.places
        )

    def put_back(self) -> tuple[Action, ...]:
        """Swap it with what is there now, which is kept as undone."""
        if self.kind == "diverged":
            raise CheckFailed(
                f"{self.directory(self.data)} holds WAL, not a data directory",
                hint="It is kept to be read with pg_waldump, and for discard-aside.",
            )
        actions: list[Action] = [*self._brought_taken_out(), *self._not_in_place()]
        for place in self.places:
            old, now = place.aside(self.stamp), place.undone(self.stamp)
            command = swap(place, old, now, user=self.node.os_user)
            actions.append(Execute(self.node.host, command, shown=shown(place, old, now)))
        return tuple(actions)

    def _begun_by(self) -> str:
        """Name the backup of the restore that set it aside and is not in place yet, or nothing."""
        host, user = self.node.host, self.node.os_user
        for made in kept(host, self.data, user)["incoming"]:
            mark = read_mark(host, self.data.incoming(made), user)
            if mark is not None and mark.stamp == self.stamp:
                return made
        return ""

    def _brought_taken_out(self) -> Iterator[Action]:
        """Keep as undone what only the restored data links to, where the next restore may go."""
        for place in self.brought():
            argv = ("sh", "-c", _TAKE_OUT, "out", place.live, place.undone(self.stamp), place.only)
            line = f"mv {place.live}/{place.only} {place.undone(self.stamp)}/"
            yield Execute(self.node.host, Command(argv, user=self.node.os_user), shown=line)

    def _not_in_place(self) -> Iterator[Action]:
        """Keep as undone what the restore had not put in place: parts of it may be gone."""
        host, user, undone = self.node.host, self.node.os_user, self.data.undone(self.stamp)
        if made := self._begun_by():
            directory = self.data.incoming(made)
            argv = ("mv", "-T", "--", directory, undone)
            yield Execute(host, Command(argv, user=user), shown=f"mv {directory} {undone}")

    def discard(self) -> tuple[Action, ...]:
        """Remove it for good."""
        user = self.node.os_user
        return tuple(
            Execute(self.node.host, remove(self.directory(place), user=user))
            for place in self.places
        )


def asides(node: Node) -> tuple[Aside, ...]:
    """List what is kept on a node, oldest first; what is half put back counts as set aside."""
    place = _data_place(node)
    there = kept(node.host, place, node.os_user)
    stamps = dict.fromkeys(there["diverged"], "diverged")
    stamps |= dict.fromkeys(there["undone"], "undone")
    stamps |= dict.fromkeys(there["aside"], "aside")
    found = []
    for stamp, kind in sorted(stamps.items()):
        data = Aside(node, stamp, kind, place, ())
        others = _others(node, data.directory(place), stamp)
        if others is None and stamp in there["undone"]:  # half put back, with its last file
            others = _others(node, place.undone(stamp), stamp)
        if others is not None:
            found.append(Aside(node, stamp, kind, place, others))
    return tuple(found)


def gone(node: Node, stamp: str) -> Aside:
    """Give the name of something that is no longer there, or not whole."""
    place = _data_place(node)
    there = kept(node.host, place, node.os_user)
    kind = next((kind for kind in ("undone", "diverged") if stamp in there[kind]), "aside")
    return Aside(node, stamp, kind, place, ())


def newest(node: Node, stamp: str) -> Aside:
    """Give what was set aside at a moment, or last for "latest"; CheckFailed if there is none."""
    found = [aside for aside in asides(node) if stamp in ("latest", aside.stamp)]
    if not found:
        known = ", ".join(aside.stamp for aside in asides(node))
        raise CheckFailed(
            f"nothing that was set aside is kept on {node}" + (f" under {stamp}" if known else ""),
            detail=f"searched beside {node.directory()}; kept are: {known or 'none'}",
            hint="Restores keep the old data where there was room for both.",
        )
    return found[-1]


def half_undone(node: Node) -> str:
    """Name the moment whose data an undo has put back in some places and not in all, or nothing."""
    return next((aside.stamp for aside in asides(node) if aside.is_half_back()), "")


def _data_place(node: Node) -> Place:
    return whole_place(look(node.host, node.directory(), node.os_user))


def _others(node: Node, directory: str, stamp: str) -> tuple[Place, ...] | None:
    """Read WAL and tablespaces that went aside with a data directory from its links, or its map.

    None where the directory holds no data. What the restore did not touch, such as a tablespace
    that the backup did not know, is not among them.
    """
    text = node.host.read("sh", "-c", _LINKS, "links", directory, user=node.os_user)
    if not text:
        return None
    major, wal, *locations = text.splitlines()
    known = filter(None, dict.fromkeys(locations))
    places = [tablespace_place(location, major) for location in known]
    if wal:
        places.append(whole_place(look(node.host, wal, node.os_user)))
    return tuple(place for place in places if _moved(node, place, stamp))


def _linked(node: Node, directory: str) -> tuple[Place, ...]:
    """Give the tablespaces that a data directory links to; none where it holds no data."""
    text = node.host.read("sh", "-c", _LINKS, "links", directory, user=node.os_user)
    major, _, *locations = text.splitlines() or ("", "")
    return tuple(tablespace_place(each, major) for each in dict.fromkeys(locations) if each)


def _moved(node: Node, place: Place, stamp: str) -> bool:
    there = kept(node.host, place, node.os_user)
    return stamp in there["aside"] or stamp in there["undone"]
