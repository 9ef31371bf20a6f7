"""How far the work at hand is, shown once it takes longer than two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runbook.units import readable_bytes, readable_seconds
from runbook.watch import Progress

_PATIENCE_SECONDS = 2.0
_LINE_SECONDS = 10.0


class Meter:
    """One line that moves: what is being done, bytes, rate, time left.

    Where the output is no terminal, a plain line every ten seconds says the same.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("dots")
        self._lock = threading.Lock()
        self._live = Live(self, console=console, refresh_per_second=5, transient=True)
        self._title = ""
        self._progress: Progress | None = None
        self._since = self._told = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._begin("")
        self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question for the time of a block."""
        self._live.stop()
        try:
            yield
        finally:
            self._begin("")
            self.__enter__()

    def work(self, title: str) -> None:
        """A new piece of work begins; an empty title: nothing is at work."""
        self._begin(title)

    def moved(self, progress: Progress) -> None:
        """The work at hand, or a part of it, moved on."""
        with self._lock:
            if self._progress is None or self._progress.title != progress.title:
                self._since = time.monotonic()
            self._progress = progress
        now = time.monotonic()
        if not self._console.is_terminal and now - max(self._told, self._since) > _LINE_SECONDS:
            self._told = now
            self._console.print(f"  {progress.title}: {self._numbers(progress)}", highlight=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            progress, waited = self._progress, time.monotonic() - self._since
            title = progress.title if progress else self._title
        if not title or waited < _PATIENCE_SECONDS:
            return
        grid = Table.grid(padding=(0, 1))
        width = max(20, console.width // 3)
        cells: list[RenderableType] = [
            self._spinner,
            Text(title, overflow="ellipsis", no_wrap=True),
        ]
        if progress is None:
            grid.add_row(*cells, Text(readable_seconds(waited), style="dim"))
        else:
            total = progress.total if self._known(progress) else None
            bar = ProgressBar(
                total=total, completed=progress.done, width=width, pulse=total is None
            )
            grid.add_row(*cells, bar, Text(self._numbers(progress), style="dim"))
        yield grid

    def _begin(self, title: str) -> None:
        with self._lock:
            self._title = title
            self._progress = None
            self._since = time.monotonic()
            self._told = 0.0

    def _numbers(self, progress: Progress) -> str:
        """Give bytes of bytes, rate and time left."""
        seconds = max(time.monotonic() - self._since, 0.001)
        rate = progress.done / seconds
        done, speed = readable_bytes(progress.done), f"{readable_bytes(int(rate))}/s"
        if not self._known(progress) or not rate:
            return f"{done}, {speed}"
        left = readable_seconds((progress.total - progress.done) / rate)
        return f"{done} of {readable_bytes(progress.total)}, {speed}, {left} left"

    @staticmethod
    def _known(progress: Progress) -> bool:
        """Tell whether the total can be believed: a server's estimate leaves out the WAL."""
        return 0 < progress.done <= progress.total
