"""The archive of an Orchestrator, read as it passes by: gzip, tar, dump and configuration."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from runbook.errors import Damaged
from runbook.orchestrator.backup import Member
from runbook.orchestrator.dump_header import MAGIC, client_major
from runbook.orchestrator.dump_text import DumpText

_CHUNK = 1 << 20
_END_OF_TAR = bytes(1024)
_RELEASE = re.compile(r"\b[0-9]+(?:\.[0-9]+)+\b")
_RELEASE_BYTES = 4096
_MAKE_ANEW = (
    "Nothing of it was kept. Look at the disk of the Orchestrator and at what orchestrator-cli "
    "says there, then start the runbook again."
)


@dataclass
class Contents:
    """What an archive holds.

    `custom` are dumps that pg_restore alone can read, with the major version of their pg_dump.
    """

    members: list[Member] = field(default_factory=list)
    plain: dict[str, DumpText] = field(default_factory=dict)
    custom: dict[str, int] = field(default_factory=dict)
    release: str = ""

    def client_major(self, dump: str) -> int:
        """Give the major version of the pg_dump that wrote a dump; 0 where it does not say."""
        text = self.plain.get(dump)
        return text.client_major if text else self.custom.get(dump, 0)

    def configuration(self, path: str) -> str:
        """Name the member that is the cluster configuration; Damaged when it has none."""
        wanted = path.rpartition("/")[2]
        for member in self.members:
            if member.name.rpartition("/")[2] == wanted and member.size:
                return member.name
        raise damaged(f"it holds no {wanted}, or an empty one", self)


class Passing(io.RawIOBase):
    """Makes a file to read of pieces that come one after the other; keeps sum and size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""
        self._summed = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Give the SHA-256 of what has passed."""
        return self._summed.hexdigest()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Give the next bytes."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
            self._summed.update(self._rest)
            self.size += len(self._rest)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def read_through(passing: Passing) -> Contents:
    """Read an archive to its last byte; Damaged unless gzip and tar are whole."""
    contents = Contents()
    try:
        with _Unpacked(fileobj=io.BufferedReader(passing, _CHUNK), mode="rb") as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for info in archive:
                    _take(contents, archive, info)
            while unpacked.read(_CHUNK):
                pass
    except (EOFError, OSError, zlib.error, tarfile.TarError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise damaged(f"{passing.size} bytes, then: {type(error).__name__}: {error}") from error
    if unpacked.last != _END_OF_TAR:
        raise damaged(f"its tar, of {passing.size} bytes packed, has no end")
    return contents


def damaged(detail: str, contents: Contents | None = None) -> Damaged:
    """Make the error for an archive that is not whole."""
    names = (
        [f"{member.name} ({member.size} bytes)" for member in contents.members] if contents else []
    )
    holds = f"; it holds {', '.join(names) or 'nothing'}" if contents else ""
    return Damaged(
        "the archive of the Orchestrator is not whole", detail=detail + holds, hint=_MAKE_ANEW
    )


class _Unpacked(gzip.GzipFile):
    """A packed file whose last bytes are remembered: a tar ends with two empty blocks."""

    last = b""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.last = (self.last + data)[-len(_END_OF_TAR) :]
        return data


def _take(contents: Contents, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    file = archive.extractfile(info) if info.isreg() else None
    if file is None:
        return
    summed, size, text, head = hashlib.sha256(), 0, DumpText(), b""
    while data := file.read(_CHUNK):
        summed.update(data)
        size += len(data)
        head += data[: max(0, _RELEASE_BYTES - len(head))]
        text.feed(data)
    if size != info.size:
        raise damaged(f"of {info.name} {size} bytes of {info.size} are there")
    contents.members.append(Member(name=info.name, size=size, sha256=summed.hexdigest()))
    if head.startswith(MAGIC):
        contents.custom[info.name] = client_major(head)
    elif text.is_dump:
        contents.plain[info.name] = text
    elif info.name.rpartition("/")[2].lower().startswith("release"):
        found = _RELEASE.search(head.decode(errors="replace"))
        contents.release = found[0] if found else ""
