"""The mark in a standby's data directory: whose copy it is, and whether it was proven.

Its name begins with pgsql_tmp, which PostgreSQL leaves out of base backups.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from runbook.errors import Damaged
from runbook.hosts import Command, Host

COPIED = "pgsql_tmp_standby.json"

_WRITE = 'cat >"$1.new" && chown --reference="$2" "$1.new" && sync "$1.new" && mv "$1.new" "$1"'


class StandbyMark(BaseModel):
    """A copy of a primary; `stamp` names the moment it was made ready.

    `proven` is None until a row written on the primary was read on this standby.
    """

    model_config = ConfigDict(frozen=True)
    primary: str
    system_identifier: str
    slot: str
    run_id: str
    verified: datetime
    stamp: str
    proven: datetime | None = None


def read_mark(host: Host, directory: str, user: str) -> StandbyMark | None:
    """Read the mark of a directory; None where there is none."""
    path = f"{directory}/{COPIED}"
    text = host.content(path, user=user)
    if not text:
        return None
    try:
        return StandbyMark.model_validate_json(text)
    except ValidationError as error:
        raise Damaged(
            f"{path} on {host} cannot be used",
            detail=str(error.errors()[:2]),
            hint="Remove it; then the standby is copied again.",
        ) from error


def write_mark(host: Host, directory: str, user: str, mark: StandbyMark) -> None:
    """Write the mark whole or not at all, as a file of the data's owner."""
    argv = ("sh", "-c", _WRITE, "mark", f"{directory}/{COPIED}", f"{directory}/PG_VERSION")
    host.run(Command(argv, user=user, stdin=mark.model_dump_json(indent=1) + "\n"))


def void_mark(directory: str, user: str) -> Command:
    """Take the mark away, so that the directory counts as a copy no more.

    Ref.: rm(1)
    """
    return Command(("rm", "-f", "--", f"{directory}/{COPIED}"), user=user)
