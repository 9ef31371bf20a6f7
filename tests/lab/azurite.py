"""The vendor's own emulator of Azure Blob Storage, installed from npm once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import processes
from tests.lab.cache import making
from tests.lab.errors import LabError
from tests.lab.servers import LOOPBACK, free_port, server

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's documented account and key, the same everywhere; a secret of nobody."""
CONTAINER = "backups"


@dataclass(frozen=True)
class BlobServer:
    """Where Azurite answers, and its well-known account."""

    endpoint: str
    pid: int
    account: str = ACCOUNT
    key: str = field(default=KEY, repr=False)
    container: str = CONTAINER

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.endpoint};"
        )


@contextmanager
def azurite() -> Iterator[BlobServer]:
    """Run Azurite's blob service, with one empty container."""
    from azure.storage.blob import BlobServiceClient

    program, port = install(), free_port()
    with tempfile.TemporaryDirectory(prefix="azurite-") as directory:
        options = ("--blobHost", LOOPBACK, "--blobPort", str(port), "--location", directory)
        argv = ("node", program, *options, "--silent", "--skipApiVersionCheck")
        with server(argv, port=port, log=Path(directory) / "azurite.log") as pid:
            blobs = BlobServer(f"http://{LOOPBACK}:{port}/{ACCOUNT}", pid)
            with BlobServiceClient.from_connection_string(blobs.connection_string) as client:
                client.create_container(blobs.container)
            yield blobs


def install() -> Path:
    """Install Azurite with npm into the cache, if it is not there; return its blob program."""
    if shutil.which("npm") is None:
        raise LabError("npm is missing: Azurite comes from it", hint="python -m tests.lab install")
    with making(f"azurite-{VERSION}") as folder:
        program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        if not program.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            options = ("--prefix", folder, "--no-save", "--no-audit", "--no-fund")
            processes.run(["npm", "install", *options, f"azurite@{VERSION}"], timeout=600)
    return program
