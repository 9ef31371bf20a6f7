"""What every store can do, and what it is told and tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, SecretStr

from runbook.errors import StoreError

PART = ".part-"
"""What comes between the name of an object and the random end of an unfinished file."""

Names = list[str]
"""Names, where a class has a method called list."""


class ObjectInfo(BaseModel):
    """An object as a store lists it: key, size in bytes, time of its last change in UTC."""

    model_config = ConfigDict(frozen=True)
    key: str
    size: int
    modified: datetime


class StoreSecret(BaseModel):
    """Credentials: they are kept apart from the location, so that locations can be printed."""

    model_config = ConfigDict(frozen=True)
    key_id: str = ""
    secret: SecretStr = SecretStr("")


class Upload(Protocol):
    """An object that is being written. Left without `commit`, it never comes into being."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Store the next bytes."""

    def commit(self) -> None:
        """Make the object whole, durable and listed; never over another one."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class OpenStore(Protocol):
    """A store that one is connected to. `str()` is its URL, without secrets."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List the objects whose keys begin with a prefix, by key; unfinished ones never."""

    def head(self, key: str) -> ObjectInfo:
        """Tell about one object; ObjectMissing when there is none."""

    def read(self, key: str, *, start: int = 0, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Give an object's bytes from `start`, whole or with an error; breaks are bridged."""

    def get(self, key: str) -> bytes:
        """Give a small object."""

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> None:
        """Write a small object; StoreError when it exists and may not be overwritten."""

    def upload(self, key: str, *, size_hint: int = 0) -> Upload:
        """Begin a large object; `size_hint` in bytes, 0 when nobody knows."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; missing ones are fine."""

    def free_space(self) -> int | None:
        """Give the free bytes; None where the store does not tell."""

    def abandoned(self, prefix: str) -> Names:
        """Name the uploads of earlier runs that were cut off."""

    def clear_abandoned(self, prefix: str) -> int:
        """Remove what uploads that were cut off have left; give their number."""

    def lifecycle_rules(self, prefix: str) -> Names:
        """Describe rules of the store itself that remove objects under a prefix."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Retaining(Protocol):
    """A store that can forbid the removal of an object until a moment."""

    def put_retained(self, key: str, data: bytes, *, until: datetime, mode: str) -> bool:
        """Write a small object, never over another one; tell whether it is locked.

        `mode` is governance or compliance. It is not locked where the store itself has no lock.
        """


class AlreadyThere(StoreError):
    """An object of that name exists, and may not be overwritten."""


def safe(key: str) -> str:
    """Refuse keys that would leave the store's own folder, or be taken for unfinished files."""
    parts = key.split("/")
    if any(part in {"", ".", ".."} for part in parts) or not key.isprintable() or PART in key:
        raise StoreError(
            f"{key!r} cannot be the name of an object",
            hint=f'Names are relative, without "." and "..", and without "{PART}".',
        )
    return key


def exists_already(key: str, store: object) -> AlreadyThere:
    """Make the error for an object that may not be overwritten."""
    return AlreadyThere(
        f"{key} exists already in {store}",
        hint="Nothing is ever overwritten there. Does another run use the same folder?",
    )
