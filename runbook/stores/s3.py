"""S3 and everything that speaks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts import Host
from runbook.stores.parts import PartsUpload
from runbook.stores.patience import PATIENCE, resumed
from runbook.stores.store import Names, ObjectInfo, StoreSecret, exists_already, safe

if TYPE_CHECKING:
    from runbook.stores.s3_client import Bucket
    from runbook.stores.s3_object import S3Part

_AT_ONCE = 1000  # names in one request, as the protocol limits it


class S3Store(BaseModel):
    """A bucket, at Amazon or at any endpoint that speaks S3."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["s3"] = "s3"
    bucket: str = Field(description="Name of the bucket.", min_length=1)
    prefix: str = Field(default="", description="Folder in the bucket; empty: its root.")
    endpoint_url: str = Field(
        default="",
        description="Empty: Amazon's own for the region.",
        pattern=r"^(https?://[^?#@]+)?$",
    )
    region: str = Field(default="us-east-1", description="Region that requests are signed for.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto", description="path for most servers other than Amazon's."
    )
    patience: float = Field(
        default=PATIENCE,
        gt=0,
        description="Seconds to wait for a store that fails before the run gives up.",
    )

    def __str__(self) -> str:
        return "/".join(part for part in (f"s3://{self.bucket}", self.prefix.strip("/")) if part)

    def open(self, secret: StoreSecret, host: Host | None) -> S3:  # noqa: ARG002
        """Connect with the given key, or with what boto3 finds on the worker."""
        from runbook.stores.s3_client import Bucket

        return S3(Bucket(self, secret))


class S3:
    """An open bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __str__(self) -> str:
        return str(self._bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bucket.close()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List objects; multipart uploads that are not completed are none."""
        yield from sorted(self._bucket.list(prefix), key=lambda info: info.key)

    def head(self, key: str) -> ObjectInfo:
        """Ask for one object."""
        return self._bucket.head(safe(key)).info

    def read(self, key: str, *, start: int = 0, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Read an object; where the transfer breaks it goes on, if it is still the same object."""
        seen, bucket = self._bucket.head(safe(key)), self._bucket
        yield from resumed(
            f"read {self}/{key}",
            seen.info.size,
            start,
            lambda at: bucket.bytes_from(seen, at, chunk),
            bucket.patience,
        )

    def get(self, key: str) -> bytes:
        """Read a small object."""
        return b"".join(self.read(key))

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> None:
        """Write a small object, conditionally where the server can."""
        from runbook.stores.s3_object import S3Object

        S3Object(self._bucket, safe(key), overwrite=overwrite).put(data)

    def put_retained(self, key: str, data: bytes, *, until: datetime, mode: str) -> bool:
        """Write a small object under S3 Object Lock where the bucket has it.

        Ref.: Amazon S3 user guide, Locking objects with Object Lock
        """
        from runbook.stores.s3_object import S3Object

        locks = self._bucket.locks_objects()
        fields = {"ObjectLockMode": mode.upper(), "ObjectLockRetainUntilDate": until}
        S3Object(self._bucket, safe(key), lock=fields if locks else {}).put(data)
        return locks

    def upload(self, key: str, *, size_hint: int = 0) -> PartsUpload[S3Part]:
        """Begin an upload; refused at once where there is an object of that name."""
        from runbook.stores.s3_object import S3Object

        if self._bucket.exists(safe(key)):
            raise exists_already(key, self)
        return PartsUpload(S3Object(self._bucket, key), size_hint)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, a thousand at a time."""
        for at in range(0, len(keys), _AT_ONCE):
            self._bucket.remove([safe(key) for key in keys[at : at + _AT_ONCE]])

    def free_space(self) -> int | None:
        """Buckets do not tell."""
        return None

    def abandoned(self, prefix: str) -> Names:
        """Name the multipart uploads that nobody completed."""
        return [f"{key} (upload {name})" for key, name in self._bucket.uploads(prefix)]

    def clear_abandoned(self, prefix: str) -> int:
        """Abort the multipart uploads that nobody completed."""
        from runbook.stores.s3_object import abort

        uploads = tuple(self._bucket.uploads(prefix))
        for key, name in uploads:
            abort(self._bucket, key, name)
        return len(uploads)

    def lifecycle_rules(self, prefix: str) -> Names:
        """Describe the bucket's own rules that take objects away, where it shows them."""
        return [*self._bucket.rules(prefix)]
