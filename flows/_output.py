"""What the process of a run prints: the worker reads it through a pipe, and may die before it."""

from __future__ import annotations

import os

from rich.console import Console


def outlive_the_reader() -> None:
    """Let this process go on where nobody reads any more what it prints.

    rich, by which Prefect prints the lines of its log, ends the program there: with the next line
    after the death of the worker, in the middle of a restore. Server and record get all of them.
    Ref.: rich.console.Console.on_broken_pipe.
    """
    Console.on_broken_pipe = _print_to_nobody  # type: ignore[method-assign,assignment]


def _print_to_nobody(_: Console) -> None:
    nobody = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nobody, output)
    os.close(nobody)
