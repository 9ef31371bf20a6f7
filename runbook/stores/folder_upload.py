"""A file that is being written under another name."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from runbook.errors import StoreError, StoreForbidden
from runbook.stores.store import PART, exists_already

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class FolderUpload:
    """Writes beside the file's place and gives it its name when it is whole and on disk."""

    def __init__(self, path: Path, store: str, *, overwrite: bool = False) -> None:
        self._path = path
        self._store = store
        self._overwrite = overwrite
        self._part = path.with_name(f"{path.name}{PART}{uuid.uuid4().hex}")
        self._descriptor = -1
        self._committed = False

    def __enter__(self) -> Self:
        with self._told():
            _make_folder(self._path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._descriptor = os.open(self._part, flags, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        if not self._committed:
            self._part.unlink(missing_ok=True)

    def write(self, data: bytes | memoryview, /) -> None:
        """Append bytes."""
        view = memoryview(data).cast("B")
        with self._told():
            while view:
                view = view[os.write(self._descriptor, view) :]

    def commit(self) -> None:
        """Bring the file to disk and give it its name."""
        with self._told():
            os.fsync(self._descriptor)
            if self._overwrite:
                self._part.replace(self._path)
            else:
                self._name()
            self._committed = True
            _sync_folder(self._path.parent)

    def _name(self) -> None:
        """Give the name without ever taking it from another file."""
        try:
            os.link(self._part, self._path)
        except FileExistsError as error:
            raise exists_already(self._path.name, self._store) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if self._path.exists():
                raise exists_already(self._path.name, self._store) from error
            self._part.rename(self._path)
            return
        self._part.unlink()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreForbidden if isinstance(error, PermissionError) else StoreError
            raise kind(
                f"cannot write {self._path}",
                detail=error.strerror or str(error),
                hint="Check the folder, its owner and its free space.",
            ) from error


def _make_folder(path: Path) -> None:
    """Make a folder and those above it, each for its owner alone and each on disk."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
