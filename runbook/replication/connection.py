"""How repmgr on a node reaches the primary."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from runbook.errors import Unreachable
from runbook.replication.following import Following
from runbook.replication.members import members, repmgr_of


@dataclass(frozen=True)
class Connection:
    """Where the primary's metadata are: for repmgr's options, and for its conninfo."""

    host: str
    port: str
    user: str
    database: str

    @property
    def options(self) -> tuple[str, ...]:
        """Give the options that the page writes."""
        return ("-h", self.host, "-p", self.port, "-U", self.user, "-d", self.database)

    @property
    def conninfo(self) -> str:
        """Give one string."""
        return make_conninfo(host=self.host, port=self.port, user=self.user, dbname=self.database)


def connection(job: Following) -> Connection:
    """Take the address that repmgr itself knows; the settings' where nobody can be asked."""
    login = repmgr_of(job.primary)
    host, port = job.primary.address, str(job.primary.port)
    try:
        known = members(job.primary)
    except Unreachable:
        known = ()
    for row in known:
        if row.node_id == job.theirs.node_id:
            host, _, port = row.address.rpartition(":")
    return Connection(host, port, login.user, login.database)
