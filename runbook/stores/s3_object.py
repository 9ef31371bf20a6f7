"""One object on its way into a bucket, at once or in parts, never over another one."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from runbook.errors import ObjectMissing, StoreError
from runbook.stores.s3_client import MARK, Bucket
from runbook.stores.s3_errors import Unsupported
from runbook.stores.store import AlreadyThere, exists_already

_PIECE = 1 << 20


@dataclass(frozen=True)
class S3Part:
    """A part that the server has."""

    number: int
    etag: str
    crc: str
    size: int

    def listed(self) -> dict[str, object]:
        """Give it as completing an upload wants it."""
        return {"PartNumber": self.number, "ETag": self.etag} | (
            {"ChecksumCRC32": self.crc} if self.crc else {}
        )


class S3Object:
    """An object that is being made; the mark in its metadata tells whose work it is."""

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        *,
        overwrite: bool = False,
        lock: Mapping[str, object] | None = None,
    ) -> None:
        self._bucket = bucket
        self._lock_fields = dict(lock or {})
        self._key = key
        self._overwrite = overwrite
        self._metadata = {MARK: uuid.uuid4().hex}
        self._lock = threading.Lock()
        self._upload_id = ""
        self._server_has_crc = False
        self._size = -1

    def put(self, data: bytes) -> None:
        """Write the whole object at once."""
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        content = {"Body": data, "ContentMD5": _encoded(digest), "Metadata": self._metadata}
        fields = {**content, **self._lock_fields}
        if self._overwrite:
            self._bucket.ask("put_object", self._key, **fields)
        else:
            self._make("put_object", **fields)

    def send(self, number: int, body: IO[bytes]) -> S3Part:
        """Send part `number`, from 0, with a checksum that the server compares."""
        with self._lock:
            if not self._upload_id:
                self._begin()
        crc = crc32_of(body) if self._server_has_crc else ""
        digest = {"ChecksumCRC32": crc} if crc else {"ContentMD5": md5_of(body)}
        answer = self._bucket.ask(
            "upload_part",
            self._key,
            UploadId=self._upload_id,
            PartNumber=number + 1,
            Body=body,
            **digest,
        )
        return S3Part(number + 1, str(answer["ETag"]), crc, body.seek(0, os.SEEK_END))

    def complete(self, parts: Sequence[S3Part]) -> None:
        """Make the object of its parts, unless one of that name has come meanwhile."""
        self._size = sum(part.size for part in parts)
        listed = {"Parts": [part.listed() for part in parts]}
        self._make("complete_multipart_upload", UploadId=self._upload_id, MultipartUpload=listed)

    def abort(self) -> None:
        """Take back all parts."""
        if self._upload_id:
            abort(self._bucket, self._key, self._upload_id)

    def _begin(self) -> None:
        fields = {"Metadata": self._metadata}
        operation = "create_multipart_upload"
        try:
            answer = self._bucket.ask(operation, self._key, ChecksumAlgorithm="CRC32", **fields)
        except Unsupported:
            answer = self._bucket.ask(operation, self._key, **fields)
        self._server_has_crc = answer.get("ChecksumAlgorithm") == "CRC32"
        self._upload_id = str(answer["UploadId"])

    def _make(self, operation: str, **fields: object) -> None:
        """Make the object, conditionally where the server can.

        A request whose answer was lost is asked again, and then finds its own work.
        """
        if self._bucket.exists(self._key):
            raise exists_already(self._key, self._bucket)
        try:
            try:
                self._bucket.ask(operation, self._key, IfNoneMatch="*", **fields)
            except Unsupported:
                self._bucket.ask(operation, self._key, **fields)
        except (AlreadyThere, ObjectMissing) as error:
            self._find_own(error)

    def _find_own(self, error: StoreError) -> None:
        try:
            seen = self._bucket.head(self._key)
        except ObjectMissing:
            raise StoreError(
                f"{self._bucket}/{self._key} was not made: its upload is gone",
                detail=error.detail,
                hint="Did someone abort it? Start again.",
            ) from error
        # some servers keep no metadata of uploads; then ours is gone and this has its size
        unmarked = not seen.mark and isinstance(error, ObjectMissing)
        if seen.mark != self._metadata[MARK] and not (unmarked and seen.info.size == self._size):
            raise exists_already(self._key, self._bucket) from error


def abort(bucket: Bucket, key: str, upload_id: str) -> None:
    """Abort a multipart upload; harmless when it is gone."""
    with suppress(ObjectMissing):
        bucket.ask("abort_multipart_upload", key, UploadId=upload_id)


def _encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def md5_of(body: IO[bytes]) -> str:
    """Give the MD5 as Content-MD5 wants it."""
    body.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    while piece := body.read(_PIECE):
        digest.update(piece)
    return _encoded(digest.digest())


def crc32_of(body: IO[bytes]) -> str:
    """Give the CRC-32 as S3 wants it."""
    body.seek(0)
    value = 0
    while piece := body.read(_PIECE):
        value = zlib.crc32(piece, value)
    return _encoded(value.to_bytes(4, "big"))
