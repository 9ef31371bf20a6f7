"""Copies of the record in a bucket: locked where it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runbook.audit.comparison import compared
from runbook.audit.mirror import Mirror
from runbook.audit.settings import AuditCopy
from runbook.stores import OpenStore, S3Store, StoreSecret
from tests.lab.s3 import S3Server
from tests.unit.audit.scene import History


@contextmanager
def bucket(server: S3Server, name: str, *, lock: bool) -> Iterator[OpenStore]:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key_id,
        aws_secret_access_key=server.secret,
        region_name=server.region,
    )
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
    settings = S3Store(bucket=name, endpoint_url=server.endpoint, addressing="path")
    secret = StoreSecret.model_validate({"key_id": server.key_id, "secret": server.secret})
    with settings.open(secret, None) as store:
        yield store
    client.close()


@pytest.mark.parametrize("lock", [True, False])
def test_pieces_are_locked_where_the_bucket_can(
    tmp_path: Path, moto_s3: S3Server, lock: bool
) -> None:
    import boto3

    settings = AuditCopy(store="vault", worker="w1", retain_days=30)
    name = "locked" if lock else "open"
    history = History(tmp_path)
    history.run("first")
    with bucket(moto_s3, name, lock=lock) as store:
        mirror = Mirror(history.audit, settings, lambda: store)
        mirror.expect("first")
        done = mirror.catch_up()
        assert done.locked is lock
        assert list(compared(mirror)) == []
        client = boto3.client(
            "s3",
            endpoint_url=moto_s3.endpoint,
            aws_access_key_id=moto_s3.key_id,
            aws_secret_access_key=moto_s3.secret,
            region_name=moto_s3.region,
        )
        key = "audit/w1/runs/first/00000000.jsonl"
        seen = client.head_object(Bucket=name, Key=key)
        client.close()
        assert seen.get("ObjectLockMode") == ("COMPLIANCE" if lock else None)
        if lock:
            left = seen["ObjectLockRetainUntilDate"] - datetime.now(UTC)
            assert timedelta(days=29) < left <= timedelta(days=30)
