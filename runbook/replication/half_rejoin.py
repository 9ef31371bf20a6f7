"""What a rejoin leaves beside a data directory until the node has proven itself.

It tells of that one directory alone: what was put in its place later has nothing to do with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.restore.marks import read_mark
from runbook.restore.place import Place, kept
from runbook.run import current


@dataclass(frozen=True)
class HalfRejoin:
    """The files of a rejoin that has not come to its end, beside the data directory of a node."""

    node: Node
    data: Place

    @property
    def rejoining(self) -> str:
        """Name the file that stands there while pg_rewind is at work."""
        return self.data.state("rejoining")

    @property
    def rejoined(self) -> str:
        """Name the file that repmgr's success is written to."""
        return self.data.state("rejoined")

    @property
    def configuration(self) -> str:
        """Name the copy of repmgr.conf that repmgr rejoins the node with."""
        return f"{self.data.incoming('rejoin')}.repmgr.conf"

    @property
    def passing(self) -> tuple[str, ...]:
        """Name the files that are of use only until the node has proven itself."""
        return (self.rejoining, self.rejoined, self.configuration)

    def is_over(self) -> bool:
        """Tell whether none of them is there."""
        return not any(self._written(path) for path in self.passing)

    def removal(self) -> Action:
        """Take them away."""
        return Execute(
            self.node.host, Command(("rm", "-f", "--", *self.passing), user=self.node.os_user)
        )

    def note(self, own: str, primary: Node) -> str:
        """Give what both files say: the run, where the node's own files are kept, and the marks.

        A mark in the data directory is of data that was put in its place later, unless the
        directory bore it before, or the primary does: pg_rewind copies that one.
        """
        marks = (_stamp(self.node, self.data.live), _stamp(primary, primary.directory()))
        return f"{current().id}\n{own}\n{' '.join(marks)}".rstrip()

    def rejoined_by(self) -> str:
        """Give the run that repmgr has rejoined this data directory for; empty: none has."""
        run, _ = self._noted(self.rejoined)
        return run

    def is_cut_short(self) -> bool:
        """Tell whether pg_rewind was begun on this data directory and has not come to its end."""
        run, _ = self._noted(self.rejoining)
        return bool(run)

    def own_files(self) -> str:
        """Name where the node's own files were kept before a rewind that was cut short.

        In the data directory lie the primary's by then. Empty: there was no such rewind.
        """
        run, own = self._noted(self.rejoining)
        if not run:
            return ""
        newest = kept(self.node.host, self.data, self.node.os_user)["diverged"][-1:]
        return own or (f"{self.data.diverged(newest[0])}/config" if newest else "")

    def _noted(self, path: str) -> tuple[str, str]:
        """Give the run and its kept files that a note tells of; nothing where it is of other data.

        A note without marks is one of a directory that bore none.
        """
        run, own, marks, *_ = (*self._written(path).split("\n"), "", "")
        here = _stamp(self.node, self.data.live) if run else ""
        return (run, own) if not here or here in marks.split() else ("", "")

    def _written(self, path: str) -> str:
        return self.node.host.content(path, user=self.node.os_user).strip()


def _stamp(node: Node, directory: str) -> str:
    mark = read_mark(node.host, directory, node.os_user)
    return mark.stamp if mark is not None else ""
