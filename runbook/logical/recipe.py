"""How a backup is made, in words and numbers: for its record, and before it is begun."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import SecretStr

from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.logical import age, openssl
from runbook.logical.key_check import KeyCheck
from runbook.logical.metadata import LogicalMetadata, StoredPart
from runbook.logical.names import BackupName
from runbook.logical.settings import LogicalBackups
from runbook.logical.writing import DumpWriter
from runbook.postgres import Node
from runbook.tools import pg_dumpall

ENCODINGS = """
SELECT DISTINCT pg_catalog.pg_encoding_to_char(encoding) AS name
FROM pg_catalog.pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1
"""


def dump_version(node: Node) -> tuple[str, int]:
    """Ask pg_dumpall on the node for its version and major number."""
    command = pg_dumpall.version(node.program("pg_dumpall"), user=node.server_user)
    return pg_dumpall.parse_version(node.console.run(command).stdout)


def insist_on_usable(key: SecretStr, settings: LogicalBackups) -> None:
    """Refuse a key that the format cannot take, or that the page's commands could not be given."""
    text = key.get_secret_value()
    if settings.format == "age":
        age.identity(key, settings.key)
    elif not text or text != text.strip() or not text.isprintable():
        raise SettingsError(
            f"key {settings.key!r} of encryption_keys cannot be used",
            detail="it is empty, begins or ends with a blank, or has more than one line",
            hint="openssl reads one line; take a long random word, and keep a copy elsewhere.",
        )


def described(
    cluster: Cluster,
    node: Node,
    settings: LogicalBackups,
    *,
    name: BackupName,
    writer: DumpWriter,
    parts: Sequence[StoredPart],
    began: datetime,
    run_id: str,
) -> LogicalMetadata:
    """Write down what was dumped."""
    key, finished = cluster.encryption_keys[settings.key], datetime.now(UTC)
    seen, authenticated = node.identity(), settings.format == "age"
    return LogicalMetadata(
        id=str(name),
        cluster=cluster.name,
        node=node.name,
        system_identifier=seen.system_identifier,
        server_version=seen.version_text.split()[0],
        dump_version=dump_version(node)[0],
        encoding=", ".join(str(row["name"]) for row in node.ask(ENCODINGS)),
        format=settings.format,
        cipher=age.CIPHER if authenticated else openssl.CIPHER,
        kdf=age.KDF if authenticated else openssl.KDF,
        key_name=settings.key,
        key_check=None if authenticated else KeyCheck.of(key),
        parts=tuple(parts),
        dump_size=writer.size,
        dump_sha256=writer.sha256,
        began=began,
        finished=finished,
        verified=finished,
        run_id=run_id,
    )
