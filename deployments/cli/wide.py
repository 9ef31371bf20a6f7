"""Where tables are printed: as wide as the terminal, and wide enough for every column off one."""

from __future__ import annotations

from rich.console import Console

_PIPE_WIDTH = 180
_NARROW = 120
"""Columns of a terminal below which a table leaves out what matters least."""


def wide_console() -> Console:
    """Give the console for a table: of a fixed width where it goes to a file or a program."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def is_narrow(console: Console) -> bool:
    """Tell whether a table must leave something out."""
    return console.width < _NARROW
