"""The demo's lines: what happens, and how many seconds after the start."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text


class Stages:
    """Prints a line for every stage, with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Give the seconds since the beginning."""
        return time.monotonic() - self._began

    def stage(self, text: str) -> None:
        """A stage begins."""
        self._print(text, "bold")

    def line(self, text: str) -> None:
        """Something happened in the stage."""
        self._print(f"  {text}", "dim")

    def _print(self, text: str, style: str) -> None:
        shown = Text(f"{self.seconds:6.1f} s  ", style="cyan") + Text(text, style=style)
        self.console.print(shown, soft_wrap=True)
