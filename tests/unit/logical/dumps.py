"""Dumps in a folder: made by the page's own commands, or by us."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr
from pyrage.x25519 import Identity

from runbook.logical import age, openssl
from runbook.logical.key_check import KeyCheck
from runbook.logical.metadata import LogicalMetadata
from runbook.logical.names import BackupName
from runbook.logical.reading import StoredDump, stored_dumps
from runbook.logical.settings import LogicalBackups
from runbook.logical.writing import DumpWriter, PartsWriter, encryptor
from runbook.stores import FolderStore, OpenStore, StoreSecret

GUID = "b6f4c071-ef44-4af2-9608-531b4ce4823f"
ID = f"{GUID}-1569935509279"
KEY = SecretStr("NYHD8MVmA55HEqoaYHpQaxfwEMcQ1wkI")
IDENTITY = SecretStr(str(Identity.generate()))
CHECK = KeyCheck.of(KEY)
KEYS = {"old": SecretStr("another"), "current": KEY}
END = b"--\n-- PostgreSQL database cluster dump complete\n--\n\n"
_ROWS = "".join(f"{n}\t{hashlib.sha256(bytes(n)).hexdigest()}\n" for n in range(7000)).encode()
SQL = b"--\n-- PostgreSQL database cluster dump\n--\n\n" + _ROWS + END
PART = 65536
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def opened(folder: Path) -> OpenStore:
    """Open the folder as a store."""
    return FolderStore(path=str(folder)).open(StoreSecret(), None)


def by_the_page(
    folder: Path, sql: bytes = SQL, *, key: str = "", how: str = "-md md5", record: str = "{}"
) -> list[Path]:
    """Make a backup as the a9s agent does; give its parts."""
    for number, part in enumerate(_parts_of_the_page(sql, key or KEY.get_secret_value(), how)):
        (folder / f"{ID}-{number}").write_bytes(part)
    (folder / f"{ID}.json").write_text(record)
    return sorted(folder.glob(f"{ID}-*"))


@cache
def _parts_of_the_page(sql: bytes, key: str, how: str) -> tuple[bytes, ...]:
    """Run the page's commands, once for each content, key and way."""
    line = (
        f"gzip -c plain | openssl enc -aes256 {how} -pass 'pass:{key}'"
        f" | split -b {PART} -d -a 1 - {ID}- && rm plain"
    )
    bash = ["bash", "-o", "pipefail", "-c", line]
    with TemporaryDirectory() as folder:
        (Path(folder) / "plain").write_bytes(sql)
        done = subprocess.run(bash, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return tuple(part.read_bytes() for part in sorted(Path(folder).iterdir()))


def ours(folder: Path, sql: bytes = SQL, *, form: str = "openssl", limit: int = PART) -> list[Path]:
    """Write a backup with its record; give its parts."""
    settings = LogicalBackups.model_validate({"store": "s", "guid": GUID, "format": form})
    key = IDENTITY if form == "age" else KEY
    with PartsWriter(opened(folder), "", BackupName(GUID, ID.rpartition("-")[2]), limit) as parts:
        writer = DumpWriter(parts, encryptor(settings, key))
        for at in range(0, len(sql), 100_003):
            writer.feed(sql[at : at + 100_003])
        writer.finish()
    record = LogicalMetadata(
        id=ID,
        cluster="ledger",
        node="pg-0",
        system_identifier="7000000000000000001",
        server_version="15.18",
        dump_version="15.18",
        encoding="UTF8",
        format=settings.format,
        cipher=age.CIPHER if form == "age" else openssl.CIPHER,
        kdf=age.KDF if form == "age" else openssl.KDF,
        key_name="current",
        key_check=None if form == "age" else CHECK,
        parts=tuple(parts.written),
        dump_size=writer.size,
        dump_sha256=writer.sha256,
        began=WHEN,
        finished=WHEN,
        verified=WHEN,
        run_id="0",
    )
    (folder / f"{ID}.json").write_bytes(record.text())
    return [folder / part.name for part in parts.written]


def stored(folder: Path, guid: str = GUID) -> tuple[StoredDump, ...]:
    """List the backups in the folder."""
    return stored_dumps(opened(folder), LogicalBackups(store="s", guid=guid))


def plain(folder: Path, keys: Mapping[str, SecretStr] | None = None) -> bytes:
    """Read the one backup in the folder."""
    (dump,) = stored(folder)
    return b"".join(dump.plain(KEYS if keys is None else keys))


def rewritten(folder: Path, **changes: object) -> None:
    """Change the record."""
    path = folder / f"{ID}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def changed(path: Path, at: int, bits: int = 1) -> None:
    """Change bits of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)
