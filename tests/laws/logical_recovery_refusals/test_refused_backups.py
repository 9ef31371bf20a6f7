"""Backups that logical-recovery refuses before the first change, or does not call the latest."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbook.logical.metadata import LogicalMetadata, StoredPart
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_refusals.refusal import planned, refused
from tests.laws.logical_recovery_scene import GUID, STAMP, Recoverable, forget, store
from tests.laws.logical_recovery_store import stored

pytestmark = pytest.mark.lab


def test_a_backup_that_is_not_there_is_refused(pair: Recoverable) -> None:
    refused(pair, "there is no logical backup", pair.id, backup=f"{GUID}-1")


def test_a_missing_part_is_refused(pair: Recoverable) -> None:
    (pair.folder / f"{pair.id}-1").unlink()
    refused(pair, f"backup {pair.id} is not whole", "part 1 is missing")


def test_swapped_parts_are_refused(pair: Recoverable) -> None:
    first, second = (pair.folder / f"{pair.id}-{index}" for index in (1, 2))
    first.rename(pair.folder / "between")
    second.rename(first)
    (pair.folder / "between").rename(second)
    refused(pair, "cannot be decompressed", "out of order")


def test_a_part_that_is_cut_is_refused(pair: Recoverable) -> None:
    part = pair.folder / f"{pair.id}-1"
    os.truncate(part, part.stat().st_size - 4096)
    refused(pair, "cannot be decompressed")


def test_a_wrong_key_is_refused(pair: Recoverable) -> None:
    (pair.base / "key").write_text("another key")
    try:
        refused(pair, f"no key opens {pair.id}", "encryption_keys")
    finally:
        (pair.base / "key").write_text(logical_recovery_scene.KEY)


def test_a_dump_that_was_cut_is_refused(pair: Recoverable) -> None:
    name = store(pair, STAMP + 1, pair.sql[: len(pair.sql) // 2])
    refused(pair, "is not whole", "pg_dumpall was cut off", backup=name)


def test_a_hostile_dump_is_refused(pair: Recoverable) -> None:
    place = b"SET standard_conforming_strings = on;\n"
    for evil in (b"\\! touch /tmp/owned\n", b"COPY (SELECT 1) TO PROGRAM 'id';\n"):
        name = store(pair, STAMP + 2, pair.sql.replace(place, place + evil, 1))
        refused(pair, "ERROR:", "HINT:", backup=name)
        forget(pair, name)


def test_a_dump_that_is_newer_than_the_server_is_refused(pair: Recoverable) -> None:
    for of, told in (
        (b"-- Dumped from database version ", "the server that was dumped is not newer"),
        (b"-- Dumped by pg_dump version ", "the pg_dump that wrote it is not newer"),
    ):
        name = store(pair, STAMP + 3, pair.sql.replace(of + b"1", of + b"9"))
        refused(pair, told, backup=name)
        forget(pair, name)


def test_a_dump_with_rows_for_template1_is_refused(pair: Recoverable) -> None:
    made = b"CREATE TABLE public.everywhere (x integer);\n"
    table = made + b"COPY public.everywhere (x) FROM stdin;\n1\n\\.\n"
    place = b"SET row_security = off;\n"
    name = store(pair, STAMP + 4, pair.sql.replace(place, place + table, 1))
    refused(pair, "the backup brings nothing into template1", backup=name)


def test_what_the_load_would_lack_is_refused_all_at_once(pair: Recoverable) -> None:
    head, place = b"SET standard_conforming_strings = on;\n", b"SET row_security = off;\n"
    space = b"CREATE TABLESPACE fast OWNER postgres LOCATION '/nowhere/fast';\n"
    theirs = b"CREATE TABLESPACE theirs OWNER postgres LOCATION '/usr';\n"
    brought = b"CREATE EXTENSION IF NOT EXISTS nowhere WITH SCHEMA public;\n"
    sql = pair.sql.replace(head, head + space + theirs, 1).replace(place, place + brought, 1)
    sql, changed = re.subn(
        rb"(CREATE DATABASE ledger .* LOCALE = )'[^']*'", rb"\1'xx_YY.UTF-8'", sql
    )
    assert changed
    lacking = [
        'extension "nowhere" is not available',
        'invalid locale name: "xx_YY.UTF-8"',
        'directory "/nowhere/fast" does not exist',
        'directory "/usr" does not belong to postgres',
    ]
    name = store(pair, STAMP + 7, sql)
    refused(pair, "; ".join(lacking), "locale-gen", backup=name)
    pair.recovery["expected_errors"] = ["already exists", *lacking]
    planned(pair, backup=name)


def test_one_that_is_still_uploaded_and_one_of_a_longer_guid_are_not_the_latest(
    pair: Recoverable,
) -> None:
    store(pair, STAMP + 5, b"-- still on its way", record=False)
    longer = f"{GUID}-1-{STAMP + 6}"
    (pair.folder / f"{longer}.json").write_text("{}")
    (pair.folder / f"{longer}-0").write_bytes(b"not ours")
    assert f"backup:** {pair.id}," in planned(pair, backup="latest")


def test_a_backup_of_another_system_is_told(pair: Recoverable) -> None:
    """Of a new site, or a server made anew: the nightly backups stop until it is said once."""
    assert "ANOTHER SYSTEM" not in planned(pair)
    now = datetime.now(UTC)
    paths = sorted(pair.folder.glob(f"{pair.id}-*"), key=lambda path: int(path.name.split("-")[-1]))
    parts = [
        StoredPart(name=path.name, size=path.stat().st_size, sha256=_digest(path.read_bytes()))
        for path in paths
    ]
    record = LogicalMetadata(
        **dict.fromkeys(("server_version", "dump_version", "encoding", "cipher", "kdf"), ""),
        id=pair.id,
        cluster=pair.name,
        node="lrr",
        system_identifier="7401",
        format="openssl",
        key_name="current",
        run_id="",
        parts=parts,
        dump_size=len(pair.sql),
        dump_sha256=_digest(pair.sql),
        **dict.fromkeys(("began", "finished", "verified"), now),
    )
    (pair.folder / f"{pair.id}.json").write_bytes(record.text())
    told = planned(pair)
    assert f"ANOTHER SYSTEM:** {pair.id} is of 7401" in told
    assert "take backups now, with other_system=true, once" in told


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["moto_s3", "azurite"])
def test_a_part_that_the_store_does_not_give_is_named_and_one_that_is_late_is_waited_for(
    pair: Recoverable, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    part = f"{pair.id}-1"
    with stored(pair, request.getfixturevalue(kind), tmp_path) as store:
        for status in (403, 404, 503):
            store.refuse(f"/{part} ".encode(), status)
            refused(pair, part, "HINT:")
        store.refuse(f"/{part} ".encode(), 503, times=2)
        planned(pair)
        assert store.left == 0, "the store was not asked for it"
