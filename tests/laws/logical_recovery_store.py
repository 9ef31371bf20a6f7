"""The backup of the logical recovery's scene in a store, and a proxy on the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.stores.places import Place, azure_place, port_of, s3_place, unique
from tests.contract.stores.proxy import Proxy, proxy
from tests.lab.azurite import BlobServer
from tests.lab.s3 import S3Server
from tests.laws.logical_recovery_scene import Recoverable

_PATIENCE = 2


@contextmanager
def stored(scene: Recoverable, server: S3Server | BlobServer, base: Path) -> Iterator[Proxy]:
    """Put the backups into a store; for the length of a block the runbook comes through a proxy."""
    folder = unique()
    with proxy(port_of(server.endpoint)) as between:
        place = _place(server, folder, 0)
        with place.open() as store:
            for path in scene.folder.iterdir():
                store.put(f"logical/{path.name}", path.read_bytes())
        (base / "secret").write_text(place.secret.secret.get_secret_value())
        through = _place(server, folder, between.port)
        scene.location = {
            "location": through.location.model_dump(mode="json"),
            "key_id": place.secret.key_id,
            "secret": {"file": str(base / "secret")},
        }
        try:
            yield between
        finally:
            scene.location = {}


def _place(server: S3Server | BlobServer, folder: str, port: int) -> Place:
    if isinstance(server, S3Server):
        return s3_place(server, folder, port=port, patience=_PATIENCE)
    return azure_place(server, folder, port=port, patience=_PATIENCE)
