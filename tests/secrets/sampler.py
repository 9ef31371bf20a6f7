"""Looks at argv and environment of every process of this machine, again and again."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.secrets.markers import Markers

_EVERY_SECONDS = 0.02


class Sampler:
    """Samples while a block runs; the hosts of the loopback lab are processes of this machine."""

    def __init__(self, markers: Markers) -> None:
        self.found: dict[str, str] = {}
        self.programs: set[str] = set()
        self.rounds = 0
        self._markers = markers
        self._looked_at: dict[Path, bytes] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(_EVERY_SECONDS):
            alive = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
            for process in alive:
                self._one(process)
            self._looked_at = {each: self._looked_at.get(each, b"") for each in alive}
            self.rounds += 1

    def _one(self, process: Path) -> None:
        """Look at a process that is new, or has become another program or title."""
        argv = _read(process / "cmdline")
        if not argv or self._looked_at.get(process) == argv:
            return
        self._looked_at[process] = argv
        program = Path(argv.split(b"\0")[0].decode(errors="replace")).name
        self.programs.add(program.split(":")[0])
        for channel, content in (("argv", argv), ("environ", _read(process / "environ"))):
            seen = self._markers.seen_in(content)
            if seen:
                self.found.setdefault(f"{channel} of {program}", seen)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
