"""The demo at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    folder: Annotated[Path, typer.Option(help="Where all of it lives; emptied at the start.")] = (
        Path("state/demo")
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Keep it running until Ctrl-C.")] = False,
) -> None:
    """Lose a table of a small shop and restore it, with everything that a real restore has."""
    from deployments.demo.story import tell_story

    tell_story(folder, keep=keep)
