"""The mark of a recovery on the primary: what it began with, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from runbook.errors import Damaged
from runbook.hosts import Command
from runbook.postgres import Node

NAME = "pgsql_tmp_recovered.json"
"""Begins with pgsql_tmp, which PostgreSQL leaves out of base backups and clones."""

# The file is whole or not there, also after a crash of the machine.
_WRITE = 'cat >"$1.new" && sync "$1.new" && mv "$1.new" "$1"'


class RecoveryMark(BaseModel):
    """Which backup is recovered, and how far that is.

    A database is known by its OID, which no renaming changes. `made` holds those that the load
    has made, each noted before it gets a name that the dump gives: they alone may be dropped. Any
    other one under one of `names` is production data, whoever made it and when: `kept` holds
    these by the names that they are set aside as. `after` holds what is loaded, once all is.
    `witnesses` are those that repmgr knew.
    """

    model_config = ConfigDict(frozen=True)
    backup: str
    run_id: str
    stamp: str
    names: tuple[str, ...]
    kept: dict[str, int]
    made: tuple[int, ...] = ()
    witnesses: tuple[str, ...] = ()
    after: dict[str, int] = {}
    loaded: datetime | None = None
    proven: datetime | None = None
    opened: datetime | None = None
    roles_updated: datetime | None = None
    repmgr_cleaned: datetime | None = None
    finished: datetime | None = None

    def is_ours(self, oid: int) -> bool:
        """Tell whether a database was made by the load."""
        return oid in self.made

    def needs(self, oid: int) -> bool:
        """Tell whether a database that stands aside is the way back of an unfinished recovery."""
        return self.finished is None and oid in self.kept.values()

    def is_in_place(self, now: Mapping[str, int]) -> bool:
        """Tell whether what was loaded is there; `now`: the OIDs of all databases by name.

        Once it was proven it is in use: one database that somebody has dropped or renamed since
        then is no reason to load all of them anew.
        """
        found = [now.get(name) == oid for name, oid in self.after.items()]
        if self.proven is None:
            return all(found)
        return any(found) and not self.went_back(now)

    def went_back(self, now: Mapping[str, int]) -> bool:
        """Tell whether somebody has put back by hand all that was set aside."""
        standing = {now[name] for name in self.names if name in now}
        return bool(self.kept) and standing.issuperset(self.kept.values())

    def is_half_done(self, now: Mapping[str, int]) -> bool:
        """Tell whether what stands there may be half of a backup, or lets in superusers alone."""
        return self.opened is None and self.finished is None and not self.went_back(now)

    def begun_after(self, old: RecoveryMark | None, now: Mapping[str, int]) -> RecoveryMark:
        """Give the mark of a recovery that begins, or goes on where an older one has stopped.

        What that one has set aside remains what is to come back. What it has loaded is still
        ours, unless it was proven: then it was in use.
        """
        if old is None or old.finished is not None or old.went_back(now):
            old = self.model_copy(update={"names": ()})
        unproven = old.proven is None
        stamp, made = (old.stamp, old.made) if unproven else (self.stamp, ())
        kept = dict(old.kept)
        for name in self.names:
            if name in now and now[name] not in (*made, *kept.values()):
                aside = aside_name(name, stamp)
                taken = aside in kept or aside in now
                kept[aside_name(name, self.stamp) if taken else aside] = now[name]
        names = tuple(dict.fromkeys((*old.names, *self.names)))
        witnesses = tuple(dict.fromkeys((*old.witnesses, *self.witnesses)))
        inherited = {"stamp": stamp, "names": names, "kept": kept, "made": made}
        return self.model_copy(update={**inherited, "witnesses": witnesses})


def aside_name(name: str, stamp: str) -> str:
    """Name the database that one is set aside as; PostgreSQL's names have 63 bytes at most."""
    ending = f"_aside_{stamp}"
    return name.encode()[: 63 - len(ending)].decode(errors="ignore") + ending


def path(node: Node) -> str:
    """Name the file of the mark."""
    return f"{node.directory()}/{NAME}"


def read_mark(node: Node) -> RecoveryMark | None:
    """Read the mark of a node; None where no recovery was ever begun."""
    text = node.host.content(path(node), user=node.os_user)
    if not text:
        return None
    try:
        return RecoveryMark.model_validate_json(text)
    except ValidationError as error:
        raise Damaged(
            f"{path(node)} on {node.host} cannot be used",
            detail=str(error.errors()[:2]),
            hint="It tells which databases a logical-recovery has made and set aside. Where none "
            "of them is half done (psql -l shows no NAME_aside_MOMENT that is still wanted), move "
            "it away.",
        ) from error


def write_mark(node: Node, mark: RecoveryMark) -> None:
    """Write the mark whole or not at all."""
    argv = ("sh", "-c", _WRITE, "mark", path(node))
    text = mark.model_dump_json(indent=1) + "\n"
    node.host.run(Command(argv, user=node.os_user, stdin=text))
