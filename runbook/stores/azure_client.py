"""A container as the Azure SDK shows it: requests that are tried again, answers with types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypeVar

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, BlobServiceClient

from runbook.errors import ObjectMissing, SettingsError
from runbook.stores.azure_errors import translated
from runbook.stores.patience import Transient, patiently
from runbook.stores.store import ObjectInfo, StoreSecret

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobProperties

    from runbook.stores.azure import AzureStore

T = TypeVar("T")

_MARK = "pgrunbooksupload"
_DISCARDED = "discarded"
_PIECE = 8 << 20  # bytes in one request of a read


@dataclass(frozen=True)
class Seen:
    """A blob, which version of it, and the mark of the upload that made it."""

    info: ObjectInfo
    etag: str
    mark: str


class Container:
    """One container and the folder in it. Keys are relative to the folder. Safe for threads."""

    def __init__(self, location: AzureStore, secret: StoreSecret) -> None:
        self.patience = location.patience
        self._url = str(location)
        self._folder = f"{location.prefix.strip('/')}/" if location.prefix.strip("/") else ""
        self._service = _service(location, secret)
        self._container = self._service.get_container_client(location.container)

    def __str__(self) -> str:
        return self._url

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def blobs(self, prefix: str) -> list[ObjectInfo]:
        """List blobs; those without a committed block list are none."""
        listed = self._listed(prefix, "metadata")
        whole = [blob for blob in listed if (blob.metadata or {}).get(_MARK) != _DISCARDED]
        return [self._info(blob) for blob in whole]

    def uncommitted(self, prefix: str) -> list[str]:
        """List the keys that have staged blocks only, or whose discarding was interrupted."""
        whole = {info.key for info in self.blobs(prefix)}
        every = {self._info(blob).key for blob in self._listed(prefix, "uncommittedblobs")}
        return sorted(every - whole)

    def head(self, key: str) -> Seen:
        """Look at one blob."""
        properties = self._ask(f"head {self}/{key}", self._blob(key).get_blob_properties)
        mark = (properties.metadata or {}).get(_MARK, "")
        return Seen(self._info(properties), str(properties.etag), mark)

    def exists(self, key: str) -> bool:
        """Tell whether there is a blob of that name."""
        try:
            self.head(key)
        except ObjectMissing:
            return False
        return True

    def bytes_from(self, seen: Seen, at: int, chunk: int) -> Iterator[bytes]:
        """Read a blob once from an offset; Transient where that breaks."""
        blob, size = self._blob(seen.info.key), seen.info.size
        while at < size:
            with translated(f"read {self}/{seen.info.key}"):
                piece = blob.download_blob(
                    offset=at,
                    length=min(_PIECE, size - at),
                    etag=seen.etag,
                    match_condition=MatchConditions.IfNotModified,
                ).readall()
            if not piece:
                raise Transient(f"no bytes at {at}")
            at += len(piece)
            yield from (piece[begin : begin + chunk] for begin in range(0, len(piece), chunk))

    def put(self, key: str, data: bytes, mark: str, *, overwrite: bool) -> None:
        """Write a small blob; AlreadyThere when it may not be overwritten."""
        blob = self._blob(key)
        self._ask(
            f"write {self}/{key}",
            lambda: blob.upload_blob(
                data, overwrite=overwrite, metadata={_MARK: mark}, validate_content=True
            ),
        )

    def stage(self, key: str, block: str, body: IO[bytes], size: int) -> None:
        """Stage a block, with a checksum that the server compares."""
        blob = self._blob(key)

        def send() -> None:
            body.seek(0)
            blob.stage_block(block, body, length=size, validate_content=True)

        self._ask(f"block of {self}/{key}", send)

    def commit(self, key: str, blocks: Sequence[str], mark: str) -> None:
        """Make a blob of staged blocks; AlreadyThere when there is one of that name."""
        blob = self._blob(key)
        listed = [BlobBlock(block) for block in blocks]
        self._ask(
            f"commit {self}/{key}",
            lambda: blob.commit_block_list(
                listed, metadata={_MARK: mark}, match_condition=MatchConditions.IfMissing
            ),
        )

    def discard(self, key: str) -> None:
        """Drop the staged blocks of a blob that was never committed.

        Azure has no request for it: where the blob cannot be removed as it is, an empty one,
        marked so that it is never listed, is committed over the blocks and removed.
        """
        self.remove(key)
        if key in self.uncommitted(key):
            self.commit(key, [], _DISCARDED)
            self.remove(key)

    def remove(self, key: str) -> None:
        """Remove a blob; a missing one is fine."""
        with suppress(ObjectMissing):
            self._ask(f"remove {self}/{key}", self._blob(key).delete_blob)

    def _listed(self, prefix: str, include: str) -> list[BlobProperties]:
        start = self._folder + prefix
        found = lambda: [*self._container.list_blobs(start, include=[include])]  # noqa: E731
        return self._ask(f"list {self}/{prefix}", found)

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(self._folder + key)

    def _info(self, blob: BlobProperties) -> ObjectInfo:
        key = str(blob.name).removeprefix(self._folder)
        return ObjectInfo(key=key, size=blob.size, modified=blob.last_modified)

    def _ask(self, what: str, do: Callable[[], T]) -> T:
        def once() -> T:
            with translated(what):
                return do()

        return patiently(what, once, self.patience)


def _service(location: AzureStore, secret: StoreSecret) -> BlobServiceClient:
    value = secret.secret.get_secret_value()
    if not value:
        raise SettingsError(
            f"there is no secret for {location}",
            hint="Set key_id to the account and secret to its key, or only secret to a shared "
            "access signature.",
        )
    key = {"account_name": secret.key_id, "account_key": value}
    return BlobServiceClient(
        location.account_url,
        credential=key if secret.key_id else value,
        max_single_get_size=_PIECE,
        max_chunk_get_size=_PIECE,
        retry_total=0,
        connection_timeout=10,
        read_timeout=max(1, location.patience / 2),
    )
