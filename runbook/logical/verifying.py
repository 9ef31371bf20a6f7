"""A stored backup read to its last byte, and held against its record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from runbook.errors import Damaged
from runbook.logical.load import Contents, DumpRefused, survey
from runbook.logical.reading import StoredDump

Tell = Callable[[int], None]


@dataclass(frozen=True)
class Seen:
    """What was read: bytes and SHA-256 of the plain dump, and its rows by database and table.

    `refused` tells what in it must not be loaded, and why; empty: nothing.
    """

    size: int
    sha256: str
    rows: dict[str, dict[str, int]]
    refused: DumpRefused | None


def verified(dump: StoredDump, keys: Mapping[str, SecretStr], tell: Tell) -> Seen:
    """Read all of a backup; Damaged or CheckFailed for any fault, and where the record differs."""
    digest, size = hashlib.sha256(), 0

    def passing() -> Iterator[bytes]:
        nonlocal size
        for piece in dump.plain(keys):
            digest.update(piece)
            size += len(piece)
            tell(size)
            yield piece

    pieces = passing()
    contents, refused = _surveyed(pieces)
    for _ in pieces:  # what follows the statement that was refused
        continue
    metadata = dump.metadata
    if metadata is not None and metadata.dump_sha256 != digest.hexdigest():
        raise Damaged(
            f"the dump in {dump.name} is not the one that was written",
            detail=f"SHA-256 {digest.hexdigest()}, its record says {metadata.dump_sha256}",
            hint="Use another copy of this backup, or another backup.",
        )
    return Seen(size, digest.hexdigest(), rows_of(contents) if contents else {}, refused)


def rows_of(contents: Contents) -> dict[str, dict[str, int]]:
    """Give the rows of a dump by database and table."""
    return {
        database.name: {table.name: table.rows for table in database.tables}
        for database in contents.databases
    }


def _surveyed(pieces: Iterator[bytes]) -> tuple[Contents | None, DumpRefused | None]:
    try:
        return survey(pieces), None
    except DumpRefused as refused:
        return None, refused
