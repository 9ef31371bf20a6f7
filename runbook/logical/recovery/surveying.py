"""What a stored dump holds: read once to its last byte, and known as long as it stays the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from runbook.logical.load import Contents, survey
from runbook.logical.reading import StoredDump
from runbook.run import current

_KNOWN: dict[object, Contents] = {}
"""The dump that this process has verified last: plan and deed ask for the same."""


def surveyed(dump: StoredDump, keys: Mapping[str, SecretStr]) -> Contents:
    """Verify a dump to its last byte and give what it holds; any fault raises.

    Read again only when an object of it has changed in the store.
    """
    parts = tuple((info.key, info.size, info.modified) for _, info in dump.parts.listed)
    seen = (str(dump.parts.store), str(dump.name), parts)
    if seen not in _KNOWN:
        total = dump.metadata.dump_size if dump.metadata else 0
        contents = survey(counted(dump, keys, f"verification of {dump.name}", total))
        _KNOWN.clear()
        _KNOWN[seen] = contents
    return _KNOWN[seen]


def counted(
    dump: StoredDump, keys: Mapping[str, SecretStr], title: str, total: int
) -> Iterator[bytes]:
    """Give the SQL text, and tell how much of it was taken; `total` is 0 where nobody knows it."""
    run, done = current(), 0
    for piece in dump.plain(keys):
        yield piece
        done += len(piece)
        run.progress(title, done, total)
    run.progress(title, done, done, finished=True)
