"""Uploads that do not end well: never an object, and what is left of them can be cleared."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runbook.backups.catalogue import Catalogue
from runbook.errors import ObjectMissing, StoreError
from runbook.stores import OpenStore
from tests.contract.stores.places import Place, pattern, put_large, s3_place
from tests.lab import processes
from tests.lab.s3 import rclone

MIB = 1 << 20
MADE = "backup_20260101000000"


def test_an_upload_left_by_an_error_never_comes_into_being(store: OpenStore) -> None:
    def interrupted() -> None:
        with store.upload("a/b") as upload:
            upload.write(pattern(34 * MIB))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert list(store.list("")) == []
    assert store.abandoned("") == []
    with pytest.raises(ObjectMissing):
        store.get("a/b")


def test_an_upload_without_commit_never_comes_into_being(store: OpenStore) -> None:
    with store.upload("a/b") as upload:
        upload.write(b"1234")
    assert list(store.list("")) == []


KILLED = """
import os, signal, sys, time
from pydantic import SecretStr, TypeAdapter
from runbook.hosts import Host
from runbook.stores import AnyStore, StoreSecret
location = TypeAdapter(AnyStore).validate_json(sys.argv[1])
secret = StoreSecret(key_id=os.environ["KEY"], secret=SecretStr(os.environ["SECRET"]))
host = Host.model_validate_json(sys.argv[2])
with location.open(secret, host) as store, store.upload("shop/base.tar") as upload:
    for _ in range(40):
        upload.write(bytes(1 << 20))
    while not store.abandoned("shop/"):
        time.sleep(0.1)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_upload_whose_process_was_killed_is_not_listed_and_can_be_cleared(
    place: Place, store: OpenStore
) -> None:
    secret = place.secret.secret.get_secret_value()
    env = {**os.environ, "KEY": place.secret.key_id, "SECRET": secret}
    words = (place.location.model_dump_json(), place.host.model_dump_json())
    argv = [sys.executable, "-c", KILLED, *words]
    done = subprocess.run(argv, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert list(store.list("")) == []
    assert store.abandoned("other/") == []
    assert len(store.abandoned("shop/")) == 1
    assert store.clear_abandoned("shop/") == 1
    assert store.abandoned("") == []
    put_large(store, "shop/base.tar", b"again", 2)
    assert store.get("shop/base.tar") == b"again"


def test_only_uploads_of_backups_are_cut_off_in_a_folder_that_others_use(store: OpenStore) -> None:
    catalogue = Catalogue(store, "")
    with store.upload("guid-1-0") as other, store.upload(f"{MADE}/base.tar") as cut:
        for upload in (other, cut):
            upload.write(pattern(34 * MIB))
        processes.until(lambda: len(store.abandoned("")) == 2, "both are under way")
        (told,) = catalogue.abandoned_uploads()
        assert told.startswith(MADE)
        assert catalogue.clear_uploads() == 1
        other.commit()
    assert [info.key for info in store.list("")] == ["guid-1-0"]


def test_a_server_that_never_had_an_upload_in_parts_has_none_left() -> None:
    with rclone() as server, s3_place(server).open() as store:
        assert store.abandoned("shop/") == []


def test_an_upload_without_room_is_refused_before_it_begins(store: OpenStore) -> None:
    with pytest.raises(StoreError, match=r"room|more than"):
        store.upload("a", size_hint=1 << 62)
