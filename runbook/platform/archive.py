"""An archive of a package or job (.cntmp), read to its last byte."""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import IO, Protocol, cast

from runbook.errors import Damaged

_SMALL = 1 << 20
_GZIP = b"\x1f\x8b"
_END_BYTES = 1024
"""The zeros that a tar ends with; one that was cut between two files has no other sign of it."""

_FULL = re.compile(rb"(?<![\w-])(package|job)::(/[^:\s\"']*)::(\w[\w.-]*)")
"""A full name: kind, namespace and name."""


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Thing:
    """A package or job, by its full name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}::{self.namespace}::{self.name}"

    @property
    def file(self) -> str:
        """Give a file name that no thing of another namespace has."""
        folder = self.namespace.strip("/").replace("/", ".")
        return f"{folder}--{self.name}.cntmp" if folder else f"{self.name}.cntmp"


@dataclass(frozen=True)
class Archive:
    """What was read; `content` is the same for the same content in any namespace."""

    size: int
    sha256: str
    content: str


class _Source:
    """Pieces as a file that counts and sums what is read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._kept = b""
        self.sum = hashlib.sha256()
        self.size = 0

    def peek(self, size: int) -> bytes:
        while len(self._kept) < size and (piece := next(self._pieces, b"")):
            self.sum.update(piece)
            self.size += len(piece)
            self._kept += piece
        return self._kept[:size]

    def read(self, size: int = -1, /) -> bytes:
        got = self.peek(size if size >= 0 else 1 << 62)
        self._kept = self._kept[len(got) :]
        return got


class _Tail:
    """A file that remembers how much was read, and where the last byte was that is no zero."""

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self.size = self.zeros_from = 0

    def read(self, size: int = -1, /) -> bytes:
        got = self._file.read(size)
        if seen := len(got.rstrip(b"\0")):
            self.zeros_from = self.size + seen
        self.size += len(got)
        return got


def examined(pieces: Iterable[bytes], thing: Thing) -> Archive:
    """Read an archive whole; Damaged unless it is one of this thing."""
    source = _Source(pieces)
    try:
        content, named, namespaces = _contents(source, thing)
        while source.read(1 << 20):
            pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(str(thing), f"after {source.size} bytes: {error}") from error
    if not named:
        raise _damaged(str(thing), f"it holds nothing of the name {thing.name}")
    if namespaces and thing.namespace.rstrip("/") not in namespaces:
        detail = f"it is that of the namespace {', '.join(sorted(namespaces))}"
        raise _damaged(str(thing), detail)
    return Archive(source.size, source.sum.hexdigest(), content)


def examined_all(pieces: Iterable[bytes], things: Collection[Thing]) -> Archive:
    """Read an archive of everything whole; Damaged unless it has the names of all these things."""
    source, names, found = _Source(pieces), _Names(things), list[str]()
    try:
        for name, file, text in _members(source):
            names.see(name, text)
            found.append(f"{name} {_rest_summed(file, hashlib.sha256(text))}")
        while source.read(1 << 20):
            pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged("everything", f"after {source.size} bytes: {error}") from error
    if not found:
        raise _damaged("everything", "it holds nothing")
    if lacking := names.lacking():
        raise _damaged("everything", f"it holds nothing of the name of {', '.join(lacking)}")
    content = hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
    return Archive(source.size, source.sum.hexdigest(), content)


class _Names:
    """The names that an archive of everything has, of those that it must have."""

    def __init__(self, things: Collection[Thing]) -> None:
        self._wanted = frozenset(things)
        self._full: set[Thing] = set()
        self._kinds: set[str] = set()
        self._alone: set[Thing] = set()

    def see(self, path: str, text: bytes) -> None:
        """Look for names in a member's path and text."""
        for kind, namespace, name in _FULL.findall(path.encode() + b"\n" + text):
            place = namespace.decode(errors="replace").rstrip("/") or "/"
            thing = Thing(kind.decode(), place, name.decode().removesuffix(".cntmp"))
            self._kinds.add(thing.kind)
            self._full.add(thing)
        parts = {part.removesuffix(".cntmp") for part in path.split("/")}
        for thing in self._wanted - self._alone:
            if thing.name in parts or _delimited(thing.name).search(text):
                self._alone.add(thing)

    def lacking(self) -> list[str]:
        """List what is not there: a name alone counts where no full name of its kind occurs."""
        known = {thing for thing in self._alone if thing.kind not in self._kinds}
        return sorted(str(t) for t in self._wanted - known if _plain(t) not in self._full)


def _contents(source: _Source, thing: Thing) -> tuple[str, bool, set[str]]:
    """Sum the contents up; tell whether they have the name, and in which namespaces."""
    found, named, namespaces = list[str](), False, set[str]()
    for name, file, text in _members(source):
        namespaces |= _namespaces(text, thing)
        summed = _summed(file, text, thing) if file else ""
        named = named or thing.name.encode() in text or thing.name in name
        found.append(f"{name} {summed}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest(), named, namespaces


def _members(source: _Source) -> Iterator[tuple[str, IO[bytes] | None, bytes]]:
    """Give every member's name, its file if it is one, and its text if that is small; to the end.

    TarError unless the end is there, and nothing but zeros behind it.
    """
    packed = source.peek(2) == _GZIP
    opened = gzip.GzipFile(fileobj=cast("IO[bytes]", source)) if packed else source
    tail = _Tail(cast("_Readable", opened))
    with tarfile.open(fileobj=cast("IO[bytes]", tail), mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            text = file.read() if file and member.size <= _SMALL else b""
            yield member.name, file, text
    while tail.read(1 << 20):
        pass
    if tail.zeros_from > tar.offset:  # tarfile takes a header that it cannot read for the end
        raise tarfile.ReadError(f"what follows its file of byte {tar.offset} cannot be read")
    if tail.size - tar.offset < _END_BYTES:
        raise tarfile.ReadError("its end is missing")


def _summed(file: IO[bytes], text: bytes, thing: Thing) -> str:
    """Sum a file up: what was read of it, its own full name without the namespace, or the rest."""
    summed = hashlib.sha256(
        text.replace(str(thing).encode(), f"{thing.kind}::{thing.name}".encode())
    )
    return _rest_summed(file, summed)


def _rest_summed(file: IO[bytes] | None, summed: hashlib._Hash) -> str:
    """Sum up what was not read of a file yet; nothing where it is none."""
    while file and (piece := file.read(1 << 20)):
        summed.update(piece)
    return summed.hexdigest() if file else ""


def _namespaces(text: bytes, thing: Thing) -> set[str]:
    """Name those that full names of this kind and name have; whose archive it is, is among them."""
    kind, name = (re.escape(word.encode()) for word in (thing.kind, thing.name))
    full = re.compile(rb"(?<![\w-])" + kind + rb"::(/[^:\s\"']*)::" + name + rb"(?![\w.-])")
    return {match.decode(errors="replace").rstrip("/") for match in full.findall(text)}


def _plain(thing: Thing) -> Thing:
    """Give it with its namespace as full names are compared."""
    return replace(thing, namespace=thing.namespace.rstrip("/") or "/")


@cache
def _delimited(name: str) -> re.Pattern[bytes]:
    """Match a name that is no part of a longer one, nor of a full name."""
    return re.compile(rb"(?<!::)(?<![\w.-])" + re.escape(name.encode()) + rb"(?!::|[\w.-])")


def _damaged(thing: str, seen: str) -> Damaged:
    return Damaged(
        f"the archive of {thing} is not whole",
        detail=seen,
        hint="Nothing of it was kept or imported. Is a disk full? Export it again.",
    )
