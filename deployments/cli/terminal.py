"""The console of a run: people may lose it, and the run goes on."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import IO

from rich.console import Console


class Terminal(Console):
    """Falls silent (`quiet`) at the first failure to write, and never ends what it shows.

    A connection that drops, a pipe whose reader has gone, a log on a full disk: a run that
    died of it would leave its applications stopped, and could not even go its way back.
    What changes nothing does not `act`, and whoever has seen enough of it (`| head`) is not told.
    """

    def __init__(self, *, stderr: bool, acts: bool) -> None:
        super().__init__(stderr=stderr)
        self._acts = acts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what was collected; everything that is shown comes through here."""
        try:
            super().__exit__(kind, error, trace)
        except OSError as failed:
            self._fall_silent(failed.strerror or str(failed))

    def on_broken_pipe(self) -> None:
        """Go on without a reader; rich would exit here."""
        self._fall_silent("Broken pipe" if self._acts else "")

    def _fall_silent(self, why: str) -> None:
        self.quiet = True
        lead_nowhere(self.file)
        if why:
            goes_on = (
                " The run goes on; what it changes stands in its record: pg-runbooks audit list"
            )
            say(f"WARNING: nothing more can be shown here ({why}).{goes_on if self._acts else ''}")


def say(text: str) -> None:
    """Tell a person what the console may not show any more, if that can be told at all."""
    try:
        print(text, file=sys.__stderr__, flush=True)
    except OSError:
        lead_nowhere(sys.__stderr__)


def lead_nowhere(stream: IO[str] | None) -> None:
    """Let what still lies in the stream, and whatever else is written there, vanish."""
    if stream is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
