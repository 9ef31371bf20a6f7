"""A dump, a folder of dumps and a server, as the pieces of component backups want them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DUMP, DatabaseDump
from runbook.components.group import Server
from runbook.components.places import Keeper
from runbook.components.properties import DatabaseProperties, DatabaseSetting
from runbook.components.restoring import ComponentRestore
from runbook.hosts import Host
from runbook.postgres import Node
from runbook.postgres.state import Identity
from runbook.run import Mode, Run
from runbook.stores import FolderStore, StoreSecret
from runbook.watch import LogWatcher

ARCHIVE = b"12345"
AT = datetime(2026, 1, 1, tzinfo=UTC)
PROPERTIES = DatabaseProperties(
    owner="auth",
    encoding="UTF8",
    collate="C",
    ctype="C",
    tablespace="pg_default",
    provider="c",
    locale="",
    connection_limit=-1,
    comment="",
    has_rights=False,
    rights=(),
    settings=(
        DatabaseSetting(role="", text="app.jwt_secret=hunter2"),
        DatabaseSetting(role="", text="work_mem=9MB"),
    ),
)


def run(mode: Mode) -> Run:
    """Give a run."""
    return Run("r", "component-restore", "c", {}, mode, LogWatcher())


def dump(
    stamp: str = "20260101000000", *, system: str = "1", at: datetime = AT, run_id: str = "before"
) -> DatabaseDump:
    """Give the record of a dump."""
    return DatabaseDump(
        id=stamp,
        database="component",
        cluster="c",
        node="n",
        role="primary",
        occasion="daily",
        size=len(ARCHIVE),
        sha256=hashlib.sha256(ARCHIVE).hexdigest(),
        database_size=1,
        server_version="15.1",
        server_major=15,
        client_version="pg_dump (PostgreSQL) 15.1",
        system_identifier=system,
        properties=PROPERTIES,
        began=at,
        finished=at,
        verified=at,
        seconds=0,
        run_id=run_id,
    )


def catalogue(folder: Path) -> DumpCatalogue:
    """Open a folder of dumps."""
    folder.mkdir(exist_ok=True)
    store = FolderStore(path=str(folder)).open(StoreSecret(), None)
    return DumpCatalogue(store, "", ("component",))


def lay(there: DumpCatalogue, made: DatabaseDump, archive: bytes = ARCHIVE) -> None:
    """Lay a dump into a folder."""
    there.store.put(there.key(made.database, made.id, DUMP), archive)
    there.begin(made.database, made.id, made.run_id)
    there.enter(made)


def keeper(there: DumpCatalogue, folder: Path) -> Keeper:
    """Give a server that does not answer, and its folder."""
    node = Node(name="n", host=Host(name="n"), bin_directory=str(folder), os_user="")
    identity = Identity(
        version=150001,
        version_text="15.1",
        data_directory="/data",
        hba_file="",
        bin_directory="",
        system_identifier="1",
        in_recovery=False,
        timeline=1,
        wal_segment_size=1 << 24,
    )
    return Keeper(Server(node, identity, {"component": 1}), there, str(folder))


def restore(there: DumpCatalogue, folder: Path) -> ComponentRestore:
    """Give a restore of the dump on that server."""
    return ComponentRestore(keeper(there, folder), dump(), 2, again=False)
