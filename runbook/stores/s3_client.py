"""A bucket as boto3 shows it: requests that are tried again, answers with types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from runbook.errors import ObjectMissing, RunbookError, StoreError, StoreForbidden
from runbook.stores.patience import patiently
from runbook.stores.s3_errors import Unsupported, is_wordless, translated
from runbook.stores.store import ObjectInfo, StoreSecret

if TYPE_CHECKING:
    from runbook.stores.s3 import S3Store

MARK = "pg-runbooks-upload"


@dataclass(frozen=True)
class Seen:
    """An object, which version of it, and the mark of the upload that made it."""

    info: ObjectInfo
    etag: str
    mark: str


class Bucket:
    """One bucket and the folder in it. Keys are relative to the folder. Safe for threads."""

    def __init__(self, location: S3Store, secret: StoreSecret) -> None:
        self.patience = location.patience
        self._url = str(location)
        self._bucket = location.bucket
        self._folder = f"{location.prefix.strip('/')}/" if location.prefix.strip("/") else ""
        self._client = _client(location, secret)
        self._locks: bool | None = None

    def __str__(self) -> str:
        return self._url

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List objects; multipart uploads that are not completed are none."""
        token: dict[str, object] = {}
        while True:
            page = self.ask("list_objects_v2", Prefix=self._folder + prefix, **token)
            for item in page.get("Contents") or ():
                key = str(item["Key"]).removeprefix(self._folder)
                if not key.endswith("/"):
                    yield ObjectInfo(key=key, size=item["Size"], modified=item["LastModified"])
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def head(self, key: str) -> Seen:
        """Look at one object. ObjectMissing; StoreError when the bucket is missing."""
        try:
            answer = self.ask("head_object", key)
        except ObjectMissing as error:
            raise self._missing(key) from error
        info = ObjectInfo(key=key, size=answer["ContentLength"], modified=answer["LastModified"])
        return Seen(info, str(answer["ETag"]), str(answer.get("Metadata", {}).get(MARK, "")))

    def exists(self, key: str) -> bool:
        """Tell whether there is an object of that name."""
        try:
            self.head(key)
        except ObjectMissing:
            return False
        return True

    def bytes_from(self, seen: Seen, at: int, chunk: int) -> Iterator[bytes]:
        """Read an object once from an offset; Transient where that breaks."""
        key, rest = seen.info.key, seen.info.size - at
        with translated(f"read {self}/{key}"):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._folder + key, Range=f"bytes={at}-"
            )
            with closing(answer["Body"]) as body:
                if answer["ETag"] != seen.etag or answer["ContentLength"] != rest:
                    raise StoreError(
                        f"{self}/{key} has changed while it was read",
                        detail=f"was {seen.etag}, is {answer['ETag']}; "
                        f"wanted {rest} bytes from {at}, got {answer['ContentLength']}",
                        hint="Who writes there? Objects of a backup never change.",
                    )
                yield from iter(lambda: body.read(chunk), b"")

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """List the multipart uploads that are not completed: key and id."""
        marker: dict[str, object] = {}
        while True:
            try:
                page = self.ask("list_multipart_uploads", Prefix=self._folder + prefix, **marker)
            except ObjectMissing:  # so says `rclone serve s3` of a bucket that never had one
                return
            for item in page.get("Uploads") or ():
                if str(item["Key"]).startswith(self._folder + prefix):
                    yield str(item["Key"]).removeprefix(self._folder), str(item["UploadId"])
            if not page.get("IsTruncated"):
                return
            names = ("KeyMarker", "UploadIdMarker")
            marker = {name: page[f"Next{name}"] for name in names if page.get(f"Next{name}")}

    def remove(self, keys: Sequence[str]) -> None:
        """Remove up to a thousand objects, one by one where the server cannot do better."""
        objects = [{"Key": self._folder + key} for key in keys]
        try:
            answer = self.ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
        except Unsupported:
            for key in keys:
                self.ask("delete_object", key)
            return
        wrong = [item for item in answer.get("Errors") or () if item.get("Code") != "NoSuchKey"]
        if wrong:
            raise StoreError(
                f"{self} did not remove {len(wrong)} of {len(keys)} objects",
                detail=f"{wrong[0].get('Key')}: {wrong[0].get('Code')} {wrong[0].get('Message')}",
                hint="Is there an object lock, or no right to s3:DeleteObject?",
            )

    def locks_objects(self) -> bool:
        """Tell whether the bucket has Object Lock; asked once."""
        if self._locks is None:
            try:
                answer = self.ask("get_object_lock_configuration")
                told = answer.get("ObjectLockConfiguration", {})
                self._locks = told.get("ObjectLockEnabled") == "Enabled"
            except (ObjectMissing, Unsupported):
                self._locks = False
        return self._locks

    def rules(self, prefix: str) -> Iterator[str]:
        """Describe the bucket's own rules that take objects away, if it shows them."""
        from runbook.stores.s3_rules import described

        try:
            answer = self.ask("get_bucket_lifecycle_configuration")
        except RunbookError:
            return
        yield from described(answer.get("Rules") or (), self._folder + prefix)

    def _missing(self, key: str) -> StoreError:
        """Tell a missing bucket from a missing object: the answer to HEAD does not."""
        try:
            self.ask("head_bucket")
        except ObjectMissing as error:
            return StoreError(
                f"there is no bucket {self._bucket}",
                detail=error.detail,
                hint="Create it, or correct bucket and region.",
            )
        except StoreError:
            pass  # who may not ask for the bucket may still have been told about the object
        return ObjectMissing(f"{self} has no {key}")

    def ask(self, operation: str, key: str = "", /, **fields: object) -> dict[str, Any]:
        """Ask the server, again where that may help; boto3 gives its answers no types."""
        what = f"{operation.replace('_', ' ')} {self}/{key}".rstrip("/")
        target = {"Key": self._folder + key} if key else {}
        body = fields.get("Body")

        def once() -> dict[str, Any]:
            if hasattr(body, "seek"):
                body.seek(0)
            with translated(what):
                method = getattr(self._client, operation)
                answer: dict[str, Any] = method(Bucket=self._bucket, **target, **fields)
                return answer

        try:
            return patiently(what, once, self.patience)
        except StoreError as error:
            if not operation.startswith("head_") or not is_wordless(error):
                raise
            raise self._reason(what, error) from error

    def _reason(self, what: str, refused: StoreError) -> StoreError:
        """Ask for a list to hear the reason that the answer to HEAD does not tell."""
        try:
            self.ask("list_objects_v2", Prefix=self._folder, MaxKeys=1)
        except StoreForbidden as error:
            return StoreForbidden(f"{what}: not allowed", detail=error.detail, hint=error.hint)
        except RunbookError:
            pass  # another trouble is no reason for this one
        return refused


def _client(location: S3Store, secret: StoreSecret) -> Any:
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=10,
        read_timeout=max(1, location.patience / 2),
        s3={"addressing_style": location.addressing},
        max_pool_connections=8,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    value = secret.secret.get_secret_value()
    return boto3.session.Session().client(
        "s3",
        region_name=location.region or None,
        endpoint_url=location.endpoint_url or None,
        aws_access_key_id=secret.key_id or None,
        aws_secret_access_key=value if secret.key_id else None,
        config=config,
    )
