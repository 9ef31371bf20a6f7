"""WAL that the server removed while a backup still needed it, and what to do about it.

A backup gets its WAL at its end; until then only wal_keep_size, slots and the archiver keep it.
A slot keeps no more than max_slot_wal_keep_size; pg_basebackup -X fetch has none.
Ref.: https://www.postgresql.org/docs/current/app-pgbasebackup.html (--wal-method=fetch)
"""

from __future__ import annotations

import re

# The file's name stands alone in this message, in whatever language the server speaks.
_SEGMENT = re.compile(r'(?<![\w/"])[0-9A-F]{24}(?![\w"])')


def advice(said: str, node: str) -> str:
    """Give the hint where a server's words are of WAL that is gone; else an empty text."""
    if not _SEGMENT.search(said):
        return ""
    return (
        f"Raise wal_keep_size on {node}, and max_slot_wal_keep_size where it is set (ALTER SYSTEM, "
        "then reload), above the WAL that it writes while a backup runs; or make the backup "
        "faster: backups.max_rate, a faster store, a quieter hour. Then start again."
    )
