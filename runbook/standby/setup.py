"""One setup of a standby: which server follows which, and what its parts are called."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from runbook.cluster import Cluster
from runbook.postgres import Node
from runbook.replication.slots import Slot, slots
from runbook.restore.place import Place
from runbook.standby.mark import StandbyMark, read_mark

PASSFILE = "pgsql_tmp_replication.pass"
"""In the data directory; base backups leave it out."""


@dataclass(frozen=True)
class StandbySetup:
    """A primary, the standby that shall follow it, and the place of the standby's data.

    `system_identifier` is the primary's.
    """

    cluster: Cluster
    primary: Node
    standby: Node
    place: Place
    system_identifier: str

    @property
    def user(self) -> str:
        """Name the replication role."""
        return self.cluster.replication.user

    @property
    def live(self) -> str:
        """Name the standby's data directory, on its machine."""
        return self.place.live

    @property
    def repl(self) -> str:
        """Name the directory that the copy is made in: the page's `repl`, beside `db`.

        Inside the data directory where that cannot be renamed.
        """
        if not self.place.whole or posixpath.basename(self.live) == "repl":
            return self.place.incoming("repl")
        return posixpath.join(posixpath.dirname(self.live), "repl")

    @property
    def staged_secret(self) -> str:
        """Name the password file while the copy is made; it also tells that `repl` is ours."""
        return f"{self.repl}.pass"

    @property
    def slot_name(self) -> str:
        """Name the standby's slot on the primary, in the letters that slots may have."""
        return f"standby_{re.sub(r'[^a-z0-9_]', '_', self.standby.name.lower())}"[:63]

    def conninfo(self) -> str:
        """Give the standby's way to its primary; the password stands in a file."""
        inside = self.standby.service.seen_inside(self.live)
        return make_conninfo(
            host=self.primary.address,
            port=str(self.primary.port),
            user=self.user,
            passfile=f"{inside}/{PASSFILE}",
            application_name=self.standby.name,
        )

    def slot(self) -> Slot | None:
        """Ask the primary for the standby's slot."""
        found = (slot for slot in slots(self.primary) if slot.name == self.slot_name)
        return next(found, None)

    def mark(self, directory: str) -> StandbyMark | None:
        """Read the mark of a copy of this very primary for this standby."""
        mark = read_mark(self.standby.host, directory, self.standby.os_user)
        wanted = (self.system_identifier, self.slot_name)
        return mark if mark and (mark.system_identifier, mark.slot) == wanted else None

    def is_copy(self) -> bool:
        """Tell whether the data directory is a standby's copy of the primary."""
        signal = f"{self.live}/standby.signal"
        host, user = self.standby.host, self.standby.os_user
        return self.mark(self.live) is not None and host.holds("test", "-e", signal, user=user)

    def in_place(self) -> bool:
        """Tell whether nothing is to be copied: the copy is there, and its slot has kept its WAL.

        Without the slot, WAL that the copy still needs may be gone.
        """
        slot = self.slot() if self.is_copy() else None
        return slot is not None and slot.wal_status != "lost"
