"""One standby to be cloned from its primary, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Execute, Work
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.clone_places import CLONE, NOTHING, Source
from runbook.replication.following import Following
from runbook.replication.half_rejoin import HalfRejoin
from runbook.restore.marks import RestoreMark, read_mark, write_mark
from runbook.restore.outage import StopClock
from runbook.restore.swap import swaps
from runbook.restore.targets import Targets
from runbook.run import current


@dataclass(frozen=True)
class Clone:
    """A standby on its way to be a clone of the primary.

    `of` tells which state of the primary is wanted, such as a restore of it: a standby that was
    not cloned from that one is cloned again, however well it streams. `again`: also a sound one.
    `remove_old`: where there is no room for both. `own_files`: the directory that holds the
    standby's own configuration files, where that is not its data directory any more. `taken`: what
    the primary holds.
    """

    following: Following
    places: Targets
    of: str = ""
    again: bool = False
    remove_old: bool = False
    fast_checkpoint: bool = True
    own_files: str = ""
    taken: Source = NOTHING

    def __str__(self) -> str:
        return self.node.name

    @property
    def node(self) -> Node:
        """Give the standby."""
        return self.following.node

    @property
    def primary(self) -> Node:
        """Give the server that it is cloned from."""
        return self.following.primary

    @property
    def made_of(self) -> str:
        """Name in the mark what the data directory was made of."""
        return f"clone of {self.of or self.primary}"

    @property
    def live(self) -> str:
        """Name the data directory."""
        return self.places.data.live

    @property
    def incoming(self) -> str:
        """Name the directory that the clone is made ready in."""
        return self.places.data.incoming(CLONE)

    @property
    def clock(self) -> StopClock:
        """Give the clock of a restore that was begun on the node before it was cloned."""
        return StopClock(self.node.host, self.node.os_user, self.places.data.stopped)

    @property
    def saved(self) -> str:
        """Name the directory that the standby's own files are saved in, where its data must go."""
        return self.places.data.incoming("own")

    def mark(self) -> RestoreMark | None:
        """Read the mark of the data directory, where it is that of this clone."""
        return self._own(read_mark(self.node.host, self.live, self.node.os_user))

    def in_place(self) -> bool:
        """Tell whether nothing is to be cloned: a sound standby, or one that a run has cloned.

        A clone that was not brought to its end counts as long as its slot keeps the WAL it needs.
        """
        mark = self.mark()
        if mark is not None and mark.finished is None:
            return self._slot_keeps()
        if self.again and (mark is None or mark.run_id != current().id):
            return False
        if self.of and mark is None:
            return False
        return not self.following.problem()

    def ready(self) -> bool:
        """Tell whether the clone is in place, or stands verified beside the old data."""
        return self.is_made_ready() or self.in_place()

    def is_made_ready(self) -> bool:
        """Tell whether a clone stands whole and verified beside the old data."""
        incoming = read_mark(self.node.host, self.incoming, self.node.os_user)
        return self._own(incoming) is not None and self._slot_keeps()

    def put_in_place(self) -> tuple[Action, ...]:
        """Swap every place: old data aside, the clone in, which has the node's own files by now."""
        host, user = self.node.host, self.node.os_user
        mark = read_mark(host, self.incoming, user)
        stamp = mark.stamp if mark else "$(date +%Y%m%d%H%M%S)"
        return (*swaps(host, self.places.places(), CLONE, stamp, user=user), *self._unsaved())

    def closed(self) -> bool:
        """Tell whether the clone has been brought to its end."""
        return self._unfinished() is None and self._half.is_over() and not self._is_saved()

    def close(self) -> tuple[Action, ...]:
        """Write into the mark that the standby has proven itself; a rejoin of before is over."""
        line = f"write the end of the rebuild into the mark in {self.live}"
        over = () if self._half.is_over() else (self._half.removal(),)
        return (Work(self.node.host.name, line, self._close), *over, *self._unsaved())

    def _unsaved(self) -> tuple[Action, ...]:
        """Remove what was saved, if it was: in a later rebuild it would be taken for the newest."""
        if not self._is_saved():
            return ()
        command = Command(("rm", "-rf", "--", self.saved), user=self.node.os_user)
        return (Execute(self.node.host, command),)

    def _is_saved(self) -> bool:
        return self.node.host.holds("test", "-e", self.saved, user=self.node.os_user)

    @property
    def _half(self) -> HalfRejoin:
        return HalfRejoin(self.node, self.places.data)

    def _unfinished(self) -> RestoreMark | None:
        mark = read_mark(self.node.host, self.live, self.node.os_user)
        return mark if mark is not None and mark.finished is None else None

    def _own(self, mark: RestoreMark | None) -> RestoreMark | None:
        return mark if mark is not None and mark.backup == self.made_of else None

    def _slot_keeps(self) -> bool:
        """Tell whether the primary still has the WAL that a clone of before needs."""
        if not self.following.mine.uses_slots:
            return True
        slot = self.following.slot()
        return slot is not None and slot.wal_status not in (None, "lost")

    def _close(self) -> str:
        mark = self._unfinished()
        if mark is None:
            return f"{self.node} had proven itself before"
        now = mark.model_copy(update={"finished": datetime.now(UTC)})
        write_mark(self.node.host, self.live, self.node.os_user, now)
        return f"{self.node} has proven itself"
