"""Azure Blob storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts import Host
from runbook.stores.parts import PartsUpload
from runbook.stores.patience import PATIENCE, resumed
from runbook.stores.store import Names, ObjectInfo, StoreSecret, exists_already, safe

if TYPE_CHECKING:
    from runbook.stores.azure_client import Container


class AzureStore(BaseModel):
    """A container of an Azure storage account, or of anything that speaks its protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["azure"] = "azure"
    account_url: str = Field(
        description="Such as https://ACCOUNT.blob.core.windows.net, without a signature.",
        pattern=r"^https?://[^?#@]+$",
    )
    container: str = Field(description="Name of the container.", min_length=1)
    prefix: str = Field(default="", description="Folder in the container; empty: its root.")
    patience: float = Field(
        default=PATIENCE,
        gt=0,
        description="Seconds to wait for a store that fails before the run gives up.",
    )

    def __str__(self) -> str:
        parts = (self.account_url.rstrip("/"), self.container, self.prefix.strip("/"))
        return "/".join(part for part in parts if part)

    def open(self, secret: StoreSecret, host: Host | None) -> Azure:  # noqa: ARG002
        """Connect with account name and key, or with a shared access signature as the secret."""
        from runbook.stores.azure_client import Container

        return Azure(Container(self, secret))


class Azure:
    """An open container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def __str__(self) -> str:
        return str(self._container)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List blobs; those without a committed block list are none."""
        yield from sorted(self._container.blobs(prefix), key=lambda info: info.key)

    def head(self, key: str) -> ObjectInfo:
        """Ask for one blob."""
        return self._container.head(safe(key)).info

    def read(self, key: str, *, start: int = 0, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Read a blob; where the transfer breaks it goes on, if it is still the same blob."""
        seen, container = self._container.head(safe(key)), self._container
        yield from resumed(
            f"read {self}/{key}",
            seen.info.size,
            start,
            lambda at: container.bytes_from(seen, at, chunk),
            container.patience,
        )

    def get(self, key: str) -> bytes:
        """Read a small blob."""
        return b"".join(self.read(key))

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> None:
        """Write a small blob."""
        from runbook.stores.azure_object import AzureObject

        AzureObject(self._container, safe(key), overwrite=overwrite).put(data)

    def upload(self, key: str, *, size_hint: int = 0) -> PartsUpload[str]:
        """Begin an upload; refused at once where there is a blob of that name."""
        from runbook.stores.azure_object import AzureObject

        if self._container.exists(safe(key)):
            raise exists_already(key, self)
        return PartsUpload(AzureObject(self._container, key), size_hint)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove blobs."""
        for key in keys:
            self._container.remove(safe(key))

    def free_space(self) -> int | None:
        """Containers do not tell."""
        return None

    def abandoned(self, prefix: str) -> Names:
        """Name the blobs that have staged blocks only."""
        return self._container.uncommitted(prefix)

    def clear_abandoned(self, prefix: str) -> int:
        """Drop the blocks that nobody committed."""
        keys = self._container.uncommitted(prefix)
        for key in keys:
            self._container.discard(key)
        return len(keys)

    def lifecycle_rules(self, prefix: str) -> Names:  # noqa: ARG002
        """Rules belong to the account's management, which the store's key does not reach."""
        return []
