"""What a bad network or a bad day of the server may do to an object store, and what it may not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from runbook.errors import ObjectMissing, StoreError, StoreForbidden, Unreachable
from runbook.stores import OpenStore
from tests.contract.stores.places import Place, azure_place, port_of, put_large, s3_place, unique
from tests.contract.stores.proxy import Fault, Proxy, proxy
from tests.lab.s3 import S3Server

MIB = 1 << 20
DATA = os.urandom(MIB) * 20 + b"end"


@dataclass(frozen=True)
class Door:
    """A store behind a proxy, and the same store without it."""

    store: OpenStore
    direct: OpenStore
    proxy: Proxy
    secret: str
    completing: bytes
    """What a request has that makes an object of its parts."""


@pytest.fixture(params=["moto", "rclone", "azurite"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    server = request.getfixturevalue(
        "azurite" if request.param == "azurite" else f"{request.param}_s3"
    )
    make = azure_place if request.param == "azurite" else s3_place
    folder = unique()
    with proxy(port_of(server.endpoint)) as before:
        place: Place = make(server, folder, port=before.port, patience=1.2)
        secret = place.secret.secret.get_secret_value()
        with place.open() as store, make(server, folder).open() as direct:
            parts = b"comp=blocklist" if make is azure_place else b"<CompleteMultipartUpload"
            yield Door(store, direct, before, secret, parts)


def test_a_read_that_is_cut_again_and_again_gives_every_byte_once(door: Door) -> None:
    put_large(door.direct, "a", DATA)
    pieces = door.store.read("a", start=7)
    read = next(pieces)
    before = door.proxy.connections
    door.proxy.next(*[Fault(cut_answer_after=5 * MIB)] * 3)
    assert read + b"".join(pieces) == DATA[7:]
    assert door.proxy.connections - before >= 3


def test_a_read_that_stalls_goes_on(door: Door) -> None:
    put_large(door.direct, "a", DATA)
    door.proxy.next(Fault(stall_answer_after=3 * MIB))
    assert door.store.get("a") == DATA


def test_a_read_ends_with_an_error_where_the_store_stays_away(door: Door) -> None:
    put_large(door.direct, "a", DATA)
    pieces = door.store.read("a")
    read = next(pieces)
    door.proxy.always(Fault(cut_answer_after=0))
    rest: list[bytes] = []
    with pytest.raises(Unreachable, match="again and again"):
        rest.extend(pieces)
    read += b"".join(rest)
    assert DATA.startswith(read)
    assert len(read) < len(DATA)


def test_an_object_that_is_another_one_after_a_break_is_not_read_on(door: Door) -> None:
    put_large(door.direct, "a", DATA)
    pieces = door.store.read("a")
    next(pieces)
    door.direct.remove(["a"])
    put_large(door.direct, "a", bytes(len(DATA)))
    door.proxy.always(Fault())
    with pytest.raises(StoreError):
        list(pieces)


@pytest.mark.parametrize("after", [0, 200, 5 * MIB])
def test_an_upload_that_is_cut_arrives_whole(door: Door, after: int) -> None:
    with door.store.upload("a") as upload:
        upload.write(DATA[: 15 * MIB])
        door.proxy.next(*[Fault(cut_request_after=after)] * 3)
        upload.write(DATA[15 * MIB :])
        upload.commit()
    assert door.direct.get("a") == DATA
    door.direct.clear_abandoned("")  # a begun upload whose answer was lost has no other way out
    assert door.direct.abandoned("") == []
    assert door.direct.get("a") == DATA


def test_a_store_that_is_busy_for_a_moment_is_waited_for(door: Door) -> None:
    door.proxy.next(Fault(status=503), Fault(status=503))
    door.store.put("a", b"1")
    door.proxy.next(Fault(status=503), Fault(status=503))
    assert [info.key for info in door.store.list("")] == ["a"]
    door.proxy.next(Fault(status=503), Fault(status=503))
    assert door.store.get("a") == b"1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, Unreachable), (403, StoreForbidden), (404, StoreError)],
)
def test_what_the_store_refuses_is_told_with_a_hint_and_without_secrets(
    door: Door, status: int, kind: type[Exception]
) -> None:
    door.proxy.always(Fault(status=status))
    for ask in (
        lambda: door.store.put("a", b"1"),
        lambda: list(door.store.list("")),
        lambda: door.store.get("a"),
        lambda: put_large(door.store, "a", DATA),
    ):
        with pytest.raises(kind) as told:
            ask()
        assert told.value.detail  # type: ignore[attr-defined]
        assert told.value.hint or isinstance(told.value, ObjectMissing)  # type: ignore[attr-defined]
        assert door.secret not in f"{told.value} {told.value.__cause__}"
    assert list(door.direct.list("")) == []


def test_an_upload_to_a_store_that_went_away_fails_and_is_never_listed(door: Door) -> None:
    def upload() -> None:
        with door.store.upload("a") as upload:
            upload.write(DATA)
            door.proxy.always(Fault(cut_request_after=0))
            upload.write(DATA)
            upload.commit()

    with pytest.raises(Unreachable):
        upload()
    assert list(door.direct.list("")) == []
    assert door.direct.clear_abandoned("") in {0, 1}
    assert door.direct.abandoned("") == []


@pytest.mark.parametrize("size", [3, len(DATA)], ids=["small", "in parts"])
def test_an_answer_that_was_lost_is_no_reason_to_fail(door: Door, size: int) -> None:
    with door.store.upload("a") as upload:
        upload.write(DATA[:size])
        door.proxy.losing = b"PUT " if size == 3 else door.completing
        upload.commit()
    assert not door.proxy.losing
    assert door.direct.get("a") == DATA[:size]


def test_work_of_another_that_came_first_is_not_overwritten(door: Door) -> None:
    with door.store.upload("a") as upload:
        upload.write(DATA)
        door.direct.put("a", b"first")
        with pytest.raises(StoreError, match="exists already"):
            upload.commit()
    assert door.direct.get("a") == b"first"
    assert door.direct.abandoned("") == []


UPLOAD = """
import os, sys
from pathlib import Path
from pydantic import SecretStr, TypeAdapter
from runbook.stores import AnyStore, StoreSecret
location = TypeAdapter(AnyStore).validate_json(sys.argv[1])
secret = StoreSecret(key_id=os.environ["KEY"], secret=SecretStr(os.environ["SECRET"]))
piece = os.urandom(1 << 20)
with location.open(secret, None) as store, store.upload("large") as upload:
    for _ in range(400):
        upload.write(piece)
    upload.commit()
    assert store.head("large").size == 400 << 20
    for _ in store.read("large"):
        pass
    store.remove(["large"])
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


def test_a_large_upload_takes_little_memory(rclone_s3: S3Server) -> None:
    place = s3_place(rclone_s3)
    secret = place.secret.secret.get_secret_value()
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, place.location.model_dump_json()],
        env={**os.environ, "KEY": place.secret.key_id, "SECRET": secret},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200 << 10
