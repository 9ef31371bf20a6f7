"""A folder on a database node as a store: the page's /backups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, Self

import paramiko
from pydantic import BaseModel, ConfigDict, Field

from runbook.errors import ObjectMissing, SettingsError, StoreError, StoreForbidden, Unreachable
from runbook.hosts import Command, Host
from runbook.hosts.process import Process
from runbook.stores.node_upload import ENGLISH, NodeUpload
from runbook.stores.patience import PATIENCE, Transient, patiently, resumed
from runbook.stores.stall import StallWatch
from runbook.stores.store import PART, Names, ObjectInfo, StoreSecret, exists_already, safe
from runbook.units import readable_bytes

_AT_ONCE = 200  # names in one command line
_STALL_SECONDS = 60.0
_ABSENT = "No such file or directory"
_DENIED = "Permission denied"

_REMOVE = """top=$1; shift; [ -e "$top" ] || exit 0; cd -- "$top" || exit
for key in "$@"; do
  rm -f -- "./$key" || exit
  d=$(dirname -- "./$key")
  while [ "$d" != . ] && rmdir -- "$d" 2>/dev/null; do d=$(dirname -- "$d"); done
done; true
"""
_FREE = 'd=$1; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done; stat -f -c "%S %a" -- "$d"'


class NodeFolderStore(BaseModel):
    """A folder on the host of the database, as in the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["node-folder"] = "node-folder"
    path: str = Field(default="/backups", description="Absolute path on the node.", pattern="^/.+")
    user: str = Field(default="postgres", description="Operating system user that owns it.")

    def __str__(self) -> str:
        return f"node:{self.path.rstrip('/')}"

    def open(self, secret: StoreSecret, host: Host | None) -> NodeFolder:  # noqa: ARG002
        """Open the folder on a host."""
        if host is None:
            raise SettingsError(
                f"{self} lies on a node, and no node was named",
                hint="Use a store that does not depend on a node.",
            )
        return NodeFolder(host, self.path.rstrip("/"), self.user)


class NodeFolder:
    """An open folder on a node."""

    def __init__(self, host: Host, root: str, user: str) -> None:
        self._host = host
        self._root = root
        self._user = user

    def __str__(self) -> str:
        return f"{self._host}:{self._root}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List the files whose paths begin with a prefix."""
        yield from (info for info in self._under(prefix) if PART not in info.key)

    def head(self, key: str) -> ObjectInfo:
        """Look at one file."""
        for row in self._find(f"{self._root}/{safe(key)}", "-maxdepth", "0"):
            return _info(row).model_copy(update={"key": key})
        raise ObjectMissing(f"{self} has no {key}")

    def read(self, key: str, *, start: int = 0, chunk: int = 1 << 20) -> Iterator[bytes]:
        """Read a file through the way into the host; a lost way is found again."""
        info = self.head(key)
        yield from resumed(
            f"read {self}/{key}",
            info.size,
            start,
            lambda at: self._bytes_from(info, at, chunk, first=at == start),
        )

    def get(self, key: str) -> bytes:
        """Read a small file."""
        return b"".join(self.read(key))

    def put(self, key: str, data: bytes, *, overwrite: bool = False) -> None:
        """Write a small file, whole or not at all."""
        with self._upload(key, overwrite=overwrite) as upload:
            upload.write(data)
            upload.commit()

    def upload(self, key: str, *, size_hint: int = 0) -> NodeUpload:
        """Begin a large file; refused at once where it exists or has no room."""
        if self._find(f"{self._root}/{safe(key)}", "-maxdepth", "0"):
            raise exists_already(key, self)
        if size_hint and size_hint > (free := self.free_space()):
            raise StoreError(
                f"{self} has no room for {key}",
                detail=f"it takes {readable_bytes(size_hint)}, free are {readable_bytes(free)}",
                hint="Prune old backups, or give the file system more room.",
            )
        return self._upload(key, overwrite=False)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove files, and directories that become empty."""
        self._unlink([safe(key) for key in keys])

    def free_space(self) -> int:
        """Ask the host's file system, that of the nearest folder that exists."""
        block, blocks = self._run("sh", "-c", _FREE, "free", self._root).split()
        return int(block) * int(blocks)

    def abandoned(self, prefix: str) -> Names:
        """Name the parts that no upload finished."""
        return [info.key for info in self._under(prefix) if PART in info.key]

    def clear_abandoned(self, prefix: str) -> int:
        """Remove the parts that no upload finished."""
        parts = self.abandoned(prefix)
        self._unlink(parts)
        return len(parts)

    def lifecycle_rules(self, prefix: str) -> Names:  # noqa: ARG002
        """A folder has no rules of its own."""
        return []

    def _under(self, prefix: str) -> Sequence[ObjectInfo]:
        folder = prefix.rpartition("/")[0]
        top = f"{self._root}/{safe(folder)}" if folder else self._root
        found = [_info(row, f"{folder}/" if folder else "") for row in self._find(top)]
        named = [info for info in found if info.key.startswith(prefix) and info.key.isprintable()]
        return sorted(named, key=lambda info: info.key)

    def _find(self, top: str, *how: str) -> Sequence[str]:
        """Find files; what may not be searched is an error, what is not there is not."""
        argv = ("find", "-H", top, *how, "-type", "f", "-printf", "%s %T@ %P\\0")
        return self._run(*argv, missing_is_fine=True).split("\0")[:-1]

    def _bytes_from(self, info: ObjectInfo, at: int, chunk: int, *, first: bool) -> Iterator[bytes]:
        if not first and self.head(info.key) != info:
            raise StoreError(
                f"{self}/{info.key} has changed while it was read",
                hint="Who writes there? Objects of a backup never change.",
            )
        argv = ("tail", "-c", f"+{at + 1}", "--", f"{self._root}/{info.key}")
        command = Command(argv, user=self._user, env=ENGLISH, directory="/")
        with _breaks(), self._host.running(command) as process:
            process.close_stdin()
            yield from _pieces(process, chunk)
            code, said = process.wait(_STALL_SECONDS), process.stderr()
            if code > 0:
                raise self._failed(f"cannot read {self}/{info.key}", said)

    def _unlink(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), _AT_ONCE):
            names = keys[at : at + _AT_ONCE]
            self._run("sh", "-c", _REMOVE, "remove", self._root, *names)

    def _upload(self, key: str, *, overwrite: bool) -> NodeUpload:
        return NodeUpload(self._host, f"{self._root}/{safe(key)}", self._user, overwrite=overwrite)

    def _run(self, *argv: str, missing_is_fine: bool = False) -> str:
        """Run a command that may be run again, and give what it printed."""
        # find insists on going back to where it began, which may be another user's home
        command = Command(argv, user=self._user, env=ENGLISH, directory="/", timeout=300)

        def once() -> str:
            done = self._host.attempt(command)
            if done.exit_code < 0:
                raise Transient(f"{argv[0]} was cut off: {done.stderr.strip()[-200:]}")
            absent = all(_ABSENT in line for line in done.stderr.splitlines())
            if done.exit_code and not (missing_is_fine and absent and done.stderr):
                raise self._failed(f"cannot use {self}", done.stderr)
            return done.stdout

        return patiently(f"{argv[0]} on {self}", once, PATIENCE / 2)

    def _failed(self, what: str, said: str) -> StoreError:
        kind = StoreForbidden if _DENIED in said else StoreError
        return kind(
            what,
            detail=said.strip()[-500:],
            hint=f"May {self._user} read and write there? Look at the host's disk, too.",
        )


def _pieces(process: Process, chunk: int) -> Iterator[bytes]:
    with StallWatch(process, _STALL_SECONDS) as watch:
        while piece := watch.moving(lambda: process.read(chunk)):
            yield piece
        if watch.stalled:
            raise Transient(f"no byte in {_STALL_SECONDS:.0f} s")


@contextmanager
def _breaks() -> Iterator[None]:
    """Take a lost way into the host as what may be over the next time."""
    try:
        yield
    except (OSError, EOFError, ValueError, paramiko.SSHException, Unreachable) as error:
        raise Transient(f"{type(error).__name__}: {error}") from error


def _info(row: str, folder: str = "") -> ObjectInfo:
    size, at, key = row.split(" ", 2)
    modified = datetime.fromtimestamp(float(at), UTC)
    return ObjectInfo(key=folder + key, size=int(size), modified=modified)
