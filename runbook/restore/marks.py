"""The mark in a restored directory: from which backup, by which run.

Its name begins with pgsql_tmp, which PostgreSQL leaves out of base backups.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from runbook.errors import Damaged
from runbook.hosts import Command, Host

RESTORED = "pgsql_tmp_restored.json"
_HINT = (
    "It tells what a restore or clone has put there. In a directory named incoming, whose run has "
    "not stopped anything: move that directory away. In the data directory: move the file away; "
    "a restore then counts as never made."
)


class RestoreMark(BaseModel):
    """What was restored into a directory; `stamp` names the moment it was made ready.

    `way` tells what it was prepared for, `places` where its tablespaces go, `archiving` whether its
    WAL is archived as the backup's settings say. `finished` is None
    until the cluster was proven to be in service again, `outage` the seconds from the first stop
    to then, where both are known.
    """

    model_config = ConfigDict(frozen=True)
    backup: str
    run_id: str
    verified: datetime
    stamp: str
    way: str = ""
    places: str = ""
    archiving: bool = True
    finished: datetime | None = None
    outage: float | None = None


def new_stamp() -> str:
    """Give the name of a moment, for directories."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}"


def read_mark(host: Host, directory: str, user: str) -> RestoreMark | None:
    """Read the mark of a directory; None where there is none."""
    path = f"{directory}/{RESTORED}"
    text = host.content(path, user=user)
    if not text:
        return None
    try:
        return RestoreMark.model_validate_json(text)
    except ValidationError as error:
        raise Damaged(
            f"{path} on {host} cannot be used", detail=str(error.errors()[:2]), hint=_HINT
        ) from error


def write_mark(host: Host, directory: str, user: str, mark: RestoreMark) -> None:
    """Write the mark whole or not at all."""
    script = 'cat >"$1.new" && sync "$1.new" && mv "$1.new" "$1"'
    argv = ("sh", "-c", script, "mark", f"{directory}/{RESTORED}")
    host.run(Command(argv, user=user, stdin=mark.model_dump_json(indent=1) + "\n"))
