"""Places to keep things in, as the labs offer them."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from runbook.hosts import Host, Ssh
from runbook.stores import AnyStore, AzureStore, NodeFolderStore, OpenStore, S3Store, StoreSecret
from tests.lab.azurite import BlobServer
from tests.lab.loopback import LoopbackLab
from tests.lab.s3 import S3Server


@dataclass(frozen=True)
class Place:
    """A location, the way in, and the host that a folder on a node lies on."""

    location: AnyStore
    secret: StoreSecret = field(default_factory=StoreSecret)
    host: Host = field(default_factory=lambda: Host(name="node"))

    def open(self) -> OpenStore:
        """Open the store."""
        return self.location.open(self.secret, self.host)


def s3_place(server: S3Server, prefix: str = "", *, port: int = 0, patience: float = 60) -> Place:
    """Give a folder of an S3 server's bucket; `port`: of a proxy before it."""
    location = S3Store(
        bucket=server.bucket,
        prefix=prefix or unique(),
        endpoint_url=_through(server.endpoint, port),
        addressing="path",
        patience=patience,
    )
    return Place(location, StoreSecret(key_id=server.key_id, secret=SecretStr(server.secret)))


def azure_place(
    server: BlobServer, prefix: str = "", *, port: int = 0, patience: float = 60
) -> Place:
    """Give a folder of Azurite's container; `port`: of a proxy before it."""
    location = AzureStore(
        account_url=_through(server.endpoint, port),
        container=server.container,
        prefix=prefix or unique(),
        patience=patience,
    )
    return Place(location, StoreSecret(key_id=server.account, secret=SecretStr(server.key)))


def ssh_place(lab: LoopbackLab) -> Place:
    """Give a folder on a host of the loopback lab, of another user than the one who logs in."""
    host = lab.host("stores")
    folder = host.directory / unique()
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    location = NodeFolderStore(path=f"{folder}/backups", user="postgres")
    return Place(location, host=Host(name="stores", way=Ssh.model_validate(host.way())))


def unique() -> str:
    """Give a folder name that nobody else uses."""
    return f"t{uuid.uuid4().hex[:10]}"


def port_of(url: str) -> int:
    """Give the port of a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def _through(url: str, port: int) -> str:
    return url.replace(f":{port_of(url)}", f":{port}") if port else url


def put_large(store: OpenStore, key: str, data: bytes, piece: int = 1 << 20) -> None:
    """Upload an object in pieces."""
    with store.upload(key) as upload:
        for at in range(0, len(data), piece):
            upload.write(data[at : at + piece])
        upload.commit()


def pattern(size: int) -> bytes:
    """Make so many bytes quickly: 64 KiB at random, again and again."""
    return os.urandom(1 << 16) * (size // (1 << 16)) + b"x" * (size % (1 << 16))
