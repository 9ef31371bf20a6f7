"""Credentials that S3 turns away: each reason has its own hint, whatever was asked."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from runbook.errors import StoreForbidden
from runbook.stores import OpenStore, S3Store, StoreSecret
from tests.contract.stores.places import put_large
from tests.contract.stores.refusing import refusing

HINTS = {
    "ExpiredToken": "have expired",
    "InvalidToken": "session token",
    "InvalidAccessKeyId": "Check key_id.",
    "RequestTimeTooSkewed": "worker's clock",
    "SignatureDoesNotMatch": "Check the secret.",
    "AccessDenied": "s3:ListBucket",
}
ASKING = {
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put("a", b"1"),
    "get": lambda store: store.get("a"),
    "head": lambda store: store.head("a"),
    "upload": lambda store: put_large(store, "a", bytes(20 << 20)),
    "remove": lambda store: store.remove(["a"]),
}


def turned_away(port: int) -> OpenStore:
    location = S3Store(
        bucket="backups",
        endpoint_url=f"http://127.0.0.1:{port}",
        addressing="path",
        region="us-east-1",
        patience=5,
    )
    return location.open(StoreSecret(key_id="AKIAEXAMPLE", secret=SecretStr("marker")), None)


@pytest.mark.parametrize("ask", ASKING)
@pytest.mark.parametrize("code", HINTS)
def test_each_reason_has_its_own_hint_whatever_is_asked(code: str, ask: str) -> None:
    with (
        refusing(code) as port,
        turned_away(port) as store,
        pytest.raises(StoreForbidden) as told,
    ):
        ASKING[ask](store)
    assert code in told.value.detail
    assert HINTS[code] in told.value.hint
    assert "marker" not in str(told.value)
