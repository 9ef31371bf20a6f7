"""A live base backup on its way to a store: compressed, hashed, written and verified at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from runbook.errors import CommandFailed
from runbook.stream.codecs import Codec
from runbook.stream.events import (
    Archive,
    Data,
    Event,
    Finished,
    ManifestDone,
    Progress,
    Started,
)
from runbook.stream.facts import BackupFacts
from runbook.stream.lanes import Lane
from runbook.stream.manifest import NAME as MANIFEST
from runbook.stream.manifest import Manifest
from runbook.stream.tar import TarReader
from runbook.stream.verify import BackupCheck


class Sink(Protocol):
    """Where the bytes of one object go."""

    def write(self, data: bytes, /) -> object:
        """Store the next bytes."""


OpenSink = Callable[[str], AbstractContextManager[Sink]]
"""Opens an object by name; left with an error, the object must not come into being."""

Observer = Callable[[Started | Archive | Progress | Finished], None]


@dataclass(frozen=True)
class StoredObject:
    """One object as it was written; `size` in bytes, before any cipher of the sink's."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class TakenBackup:
    """A whole, verified backup."""

    started: Started
    finished: Finished
    objects: tuple[StoredObject, ...]
    manifest: Manifest
    facts: BackupFacts


@dataclass(frozen=True)
class Encoding:
    """Compression on this side, for servers that cannot do it well."""

    codec: Codec = Codec.NONE
    level: int = 1
    threads: int = 2


def take(
    events: Iterator[Event],
    open_sink: OpenSink,
    *,
    encoding: Encoding | None = None,
    checksums: str = "CRC32C",
    observe: Observer = lambda _: None,
) -> TakenBackup:
    """Write every archive of a backup to its sink while a second thread verifies it.

    What is verified is what is stored: the compressed bytes are decoded again, read as tar and
    compared with the manifest, which is written last and only if all agreed. Any failure raises
    and leaves no manifest; objects that were completed before it are the caller's to remove.
    Holds at most some 30 MiB of data. `checksums` must be those asked of the server.
    """
    shipment = _Shipment(open_sink, encoding or Encoding(), checksums, observe)
    with ExitStack() as stack:
        close = getattr(events, "close", None)
        if close is not None:
            stack.callback(close)
        with shipment.lane, shipment.sinks:
            for event in events:
                shipment.take(event)
        return shipment.finish()


class _Shipment:
    """A backup that is being taken."""

    def __init__(
        self, open_sink: OpenSink, encoding: Encoding, checksums: str, observe: Observer
    ) -> None:
        self.lane = Lane("verify")
        self.sinks = ExitStack()
        self._open = open_sink
        self._encoding = encoding
        self._observe = observe
        self._check = BackupCheck(algorithm=checksums)
        self._object: _Object | None = None
        self._objects: list[StoredObject] = []
        self._started: Started | None = None
        self._finished: Finished | None = None
        self._manifest = b""

    def take(self, event: Event) -> None:
        """Do what one event asks for."""
        match event:
            case Data(data) if self._object is not None:
                self._object.feed(data)
                return
            case Archive(name):
                self._end_object()
                self._begin_object(name + self._encoding.codec.suffix)
            case ManifestDone(raw):
                self._end_object()
                self._manifest = raw
                return
            case Started():
                self._started = event
            case Finished():
                self._finished = event
        if not isinstance(event, Data):
            self._observe(event)

    def finish(self) -> TakenBackup:
        """Compare with the manifest, then store it."""
        if self._started is None or self._finished is None:
            raise CommandFailed(
                "the base backup ended before PostgreSQL said that it was complete",
                hint="What was stored is no backup. Look into the server's log, then run again.",
            )
        manifest = Manifest.parse(self._manifest)
        facts = self._check.finish(manifest)
        with self._open(MANIFEST) as sink:
            sink.write(self._manifest)
        digest = hashlib.sha256(self._manifest).hexdigest()
        self._objects.append(StoredObject(MANIFEST, len(self._manifest), digest))
        return TakenBackup(self._started, self._finished, tuple(self._objects), manifest, facts)

    def _begin_object(self, name: str) -> None:
        sink = self.sinks.enter_context(self._open(name))
        self._object = _Object(name, sink, self._encoding, self.lane, self._check)

    def _end_object(self) -> None:
        if self._object is not None:
            self._objects.append(self._object.finish())
            self._object = None
            self.sinks.pop_all().close()


class _Object:
    """One archive on its way: encoded, hashed, written here; decoded and checked in the lane."""

    def __init__(
        self, name: str, sink: Sink, encoding: Encoding, lane: Lane, check: BackupCheck
    ) -> None:
        self._name = name
        self._sink = sink
        self._lane = lane
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._encoder = encoding.codec.encoder(level=encoding.level, threads=encoding.threads)
        self._tar = TarReader(name, check.archive(name))
        self._decoder = Codec.of(name).decoder(self._tar.feed, name=name)

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the server."""
        self._write(self._encoder.feed(data))

    def finish(self) -> StoredObject:
        """End the archive."""
        self._write(self._encoder.finish())
        self._lane.give(self._decoder.finish)
        self._lane.give(self._tar.finish)
        return StoredObject(self._name, self._size, self._sha256.hexdigest())

    def _write(self, data: bytes) -> None:
        if data:
            self._lane.give(partial(self._decoder.feed, data))
            self._sha256.update(data)
            self._size += len(data)
            self._sink.write(data)
