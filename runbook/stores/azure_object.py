"""One blob on its way into a container, at once or in blocks, never over another one."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Sequence
from typing import IO

from runbook.errors import StoreError
from runbook.stores.azure_client import Container
from runbook.stores.store import AlreadyThere, exists_already


class AzureObject:
    """A blob that is being made; the mark in its metadata tells whose work it is."""

    def __init__(self, container: Container, key: str, *, overwrite: bool = False) -> None:
        self._container = container
        self._key = key
        self._overwrite = overwrite
        self._mark = uuid.uuid4().hex

    def put(self, data: bytes) -> None:
        """Write the whole blob at once."""
        try:
            self._container.put(self._key, data, self._mark, overwrite=self._overwrite)
        except AlreadyThere as error:
            self._find_own(error)

    def send(self, number: int, body: IO[bytes]) -> str:
        """Stage block `number` and give its id; no two uploads have blocks of the same id."""
        block = base64.b64encode(f"{self._mark}{number:06}".encode()).decode()
        self._container.stage(self._key, block, body, body.seek(0, os.SEEK_END))
        return block

    def complete(self, parts: Sequence[str]) -> None:
        """Make the blob of its blocks."""
        try:
            self._container.commit(self._key, parts, self._mark)
        except AlreadyThere as error:
            self._find_own(error)

    def abort(self) -> None:
        """Drop all blocks, unless a blob of that name exists: Azure drops them in a week."""
        if self._key in self._container.uncommitted(self._key):
            self._container.discard(self._key)

    def _find_own(self, error: StoreError) -> None:
        """Tell a request whose answer was lost from the work of another."""
        if self._container.head(self._key).mark != self._mark:
            raise exists_already(self._key, self._container) from error
