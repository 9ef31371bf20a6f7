"""A folder on the worker as a store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from runbook.errors import ObjectMissing, StoreError, StoreForbidden
from runbook.hosts import Host
from runbook.stores.folder_upload import FolderUpload
from runbook.stores.store import PART, Names, ObjectInfo, StoreSecret, exists_already, safe
from runbook.units import readable_bytes


class FolderStore(BaseModel):
    """A folder on the machine that the worker runs on, also a mounted one."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["folder"] = "folder"
    path: str = Field(description="Absolute path of the folder on the worker.", pattern="^/.+")

    def __str__(self) -> str:
        return f"file://{self.path.rstrip('/')}"

    def open(self, secret: StoreSecret, host: Host | None) -> Folder:  # noqa: ARG002
        """Open the folder; it is made by the first upload."""
        return Folder(Path(self.path))


class Folder:
    """An open folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return f"file://{self._root}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List the files whose paths begin with a prefix."""
        for key in self._keys(prefix):
            if PART not in key:
                with suppress(ObjectMissing):  # removed since it was found
                    yield self.head(key)

    def head(self, key: str) -> ObjectInfo:
        """Look at one file."""
        path = self._root / safe(key)
        with _told(path, self._missing(key)):
            seen = path.stat(follow_symlinks=False)
        if not path.is_file():
            raise self._missing(key)
        modified = datetime.fromtimestamp(seen.st_mtime, UTC)
        return ObjectInfo(key=key, size=seen.st_size, modified=modified)

    def read(self, key: str, *, start: int = 0, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Read a file."""
        size, at = self.head(key).size, start
        with (
            _told(self._root / key, self._missing(key)),
            (self._root / key).open("rb", buffering=0) as file,
        ):
            file.seek(start)
            while piece := file.read(chunk):
                at += len(piece)
                yield piece
        if at != max(size, start):
            raise StoreError(
                f"{self}/{key} changed while it was read",
                detail=f"it had {size} bytes; {at - start} came from {start}",
                hint="Who writes there? Objects of a backup never change.",
            )

    def get(self, key: str) -> bytes:
        """Read a small file."""
        return b"".join(self.read(key))

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> None:
        """Write a small file, whole or not at all."""
        path = self._root / safe(key)
        with _told(path), FolderUpload(path, str(self), overwrite=overwrite) as upload:
            upload.write(data)
            upload.commit()

    def upload(self, key: str, *, size_hint: int = 0) -> FolderUpload:
        """Begin a large file; refused at once where it exists or has no room."""
        path = self._root / safe(key)
        if path.exists():
            raise exists_already(key, self)
        if size_hint and size_hint > (free := self.free_space()):
            raise StoreError(
                f"{self} has no room for {key}",
                detail=f"it takes {readable_bytes(size_hint)}, free are {readable_bytes(free)}",
                hint="Prune old backups, or give the file system more room.",
            )
        return FolderUpload(path, str(self))

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files, and directories that become empty."""
        self._unlink([safe(key) for key in keys])

    def free_space(self) -> int:
        """Ask the file system, that of the nearest folder that exists."""
        with _told(self._root):
            near = next(path for path in (self._root, *self._root.parents) if path.is_dir())
            return shutil.disk_usage(near).free

    def abandoned(self, prefix: str) -> Names:
        """Name the parts that no upload finished."""
        return [key for key in self._keys(prefix) if PART in key]

    def clear_abandoned(self, prefix: str) -> int:
        """Remove the parts that no upload finished."""
        parts = self.abandoned(prefix)
        self._unlink(parts)
        return len(parts)

    def lifecycle_rules(self, prefix: str) -> Names:  # noqa: ARG002
        """A folder has no rules of its own."""
        return []

    def _keys(self, prefix: str) -> Names:
        """Find the files, no links; what cannot be searched is an error, not empty."""
        folder = prefix.rpartition("/")[0]
        top = self._root / safe(folder) if folder else self._root
        found = []
        with _told(top):
            for where, _, names in os.walk(top, onerror=_raise_unless_missing):
                paths = (Path(where, name) for name in names)
                found += [path for path in paths if path.is_file() and not path.is_symlink()]
        keys = sorted(str(path.relative_to(self._root)) for path in found)
        return [key for key in keys if key.startswith(prefix) and key.isprintable()]

    def _unlink(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._root / key
            with _told(path):
                path.unlink(missing_ok=True)
                for parent in path.parents:
                    if parent == self._root or not parent.is_dir() or any(parent.iterdir()):
                        break
                    parent.rmdir()

    def _missing(self, key: str) -> ObjectMissing:
        return ObjectMissing(f"{self} has no {key}")


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _told(path: Path, missing: ObjectMissing | None = None) -> Iterator[None]:
    """Raise an error of ours for one of the operating system."""
    try:
        yield
    except OSError as error:
        if missing and isinstance(error, FileNotFoundError | NotADirectoryError):
            raise missing from error
        kind = StoreForbidden if isinstance(error, PermissionError) else StoreError
        raise kind(
            f"cannot use {path}",
            detail=error.strerror or str(error),
            hint="Check the folder, its owner and its free space.",
        ) from error
