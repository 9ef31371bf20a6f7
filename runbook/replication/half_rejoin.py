"""What a rejoin leaves beside a data directory until the node has proven itself.

It tells of that one directory alone: what was put in its place later has nothing to do with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.restore.marks import RESTORED
from runbook.restore.place import Place, kept


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

    def rejoined_by(self) -> str:
        """Give the run that repmgr has rejoined this data directory for; empty: none has."""
        return self._written(self.rejoined) if self._is_of_this_data(self.rejoined) else ""

    def is_cut_short(self) -> bool:
        """Tell whether pg_rewind was begun on this data directory and has not come to its end."""
        return bool(self._written(self.rejoining)) and self._is_of_this_data(self.rejoining)

    def own_files(self) -> str:
        """Name where the node's own files were kept before a rewind that was cut short.

        In the data directory lie the primary's by then. Empty: there was no such rewind.
        """
        if not self.is_cut_short():
            return ""
        _, _, own = self._written(self.rejoining).partition("\n")
        newest = kept(self.node.host, self.data, self.node.os_user)["diverged"][-1:]
        return own or (f"{self.data.diverged(newest[0])}/config" if newest else "")

    def _is_of_this_data(self, path: str) -> bool:
        mark = f"{self.data.live}/{RESTORED}"
        return not self.node.host.holds("test", mark, "-nt", path, user=self.node.os_user)

    def _written(self, path: str) -> str:
        return self.node.host.content(path, user=self.node.os_user).strip()
