"""A file that a chain is written to: one writer at a time, every line on disk."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from runbook.audit.chain import START, TORN, Entry, decoded, digest, encoded
from runbook.errors import Refused

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.05


@dataclass
class End:
    """Where a chain ends: lines, bytes, digest of the last line, lines cut by crashes."""

    lines: int = 0
    size: int = 0
    last: str = START
    torn: tuple[int, ...] = ()
    half: bool = False
    """Whether the last line has no line feed yet."""


class ChainFile:
    """Appends entries; nobody else can while it is open."""

    def __init__(self, path: Path, *, patience: float = _PATIENCE_SECONDS) -> None:
        self.path = path
        made = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _held(self._file, path, patience)
            if made:
                synced(path.parent)
        except BaseException:
            os.close(self._file)
            raise
        self.end = End()
        self._whole = sha256()

    @property
    def sha256(self) -> str:
        """Give the SHA-256 of all that was written, as this process knows it."""
        return self._whole.copy().hexdigest()

    def resume(self) -> bytes:
        """Read the file, go on where it ends, and give what stands in it."""
        content = self.read()
        self.end, self._whole = end_of(content), sha256(content)
        return content

    def read(self) -> bytes:
        """Give all that stands in the file."""
        size = os.fstat(self._file).st_size
        return os.pread(self._file, size, 0) if size else b""

    def append(self, event: str, fields: Mapping[str, object]) -> Entry:
        """Write one entry, wait until it is on disk, give it; a half line before is declared."""
        if self.end.torn or self.end.half:
            torn, self.end.torn = self.end.torn, ()
            self._put(TORN, {"lines": list(torn)})
        return self._put(event, fields)

    def _put(self, event: str, fields: Mapping[str, object]) -> Entry:
        end = self.end
        line = encoded(end.lines, event, fields, end.last)
        data = (b"\n" if end.half else b"") + line + b"\n"
        try:
            written = os.write(self._file, data)
            if written < len(data):
                os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError:
            self.resume()
            raise
        self._whole.update(data)
        self.end = End(end.lines + 1, end.size + len(data), digest(line))
        return decoded(line) or {"event": event}

    def close(self) -> None:
        """Let others write."""
        os.close(self._file)


def end_of(content: bytes, first: int = 0, last: str = START) -> End:
    """Find the end of a chain, or of a piece of it that begins with line `first` after `last`."""
    lines = content.split(b"\n")
    half = bool(lines[-1])
    if not half:
        lines.pop()
    torn = []
    for index in range(len(lines) - 1, -1, -1):
        if decoded(lines[index]) is not None and not (half and index == len(lines) - 1):
            break
        torn.append(first + index)
    seen = digest(lines[-1]) if lines else last
    return End(first + len(lines), len(content), seen, tuple(reversed(torn)), half)


def whole_digest(content: bytes) -> str:
    """Give the SHA-256 of a whole file, as `sha256sum` prints it."""
    return sha256(content).hexdigest()


def synced(folder: Path) -> None:
    """Bring the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_open(path: Path) -> bool:
    """Tell whether a process is writing to a chain now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _held(descriptor: int, path: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
                continue
            raise Refused(
                f"another process writes the record {path}",
                hint="Is this run at work in another process? Wait until that one ends.",
            ) from None
        return
