"""A run at a terminal: its plan, its steps, its progress."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from deployments.cli.meter import Meter
from runbook.plan import Plan
from runbook.watch import Progress


class Screen:
    """Watches a run and shows it to the person at the terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.meter = Meter(console)
        self._shown = ""

    def __enter__(self) -> Self:
        self.meter.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.meter.__exit__(kind, error, trace)

    def planned(self, plan: Plan) -> None:
        """Show a plan, unless it is the one that was shown last."""
        if plan.digest == self._shown:
            return
        self._shown = plan.digest
        show_page(self.console, plan.markdown())

    def step_began(self, number: str, title: str) -> None:
        """Show the heading of a step."""
        self.meter.work(title)
        self.console.print(Text(f"\n{number}. {title}", style="bold"))

    def step_ended(self, number: str, title: str) -> None:  # noqa: ARG002
        """Nothing is at work between the steps."""
        self.meter.work("")

    def told(self, text: str) -> None:
        """Show a line, and take it as the work at hand."""
        self.meter.work(text)
        self.console.print(Text(f"   {text}", style="dim"), soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Move the meter."""
        self.meter.moved(progress)

    def finished(self, title: str, markdown: str) -> None:
        """Show a result."""
        self.console.print(Text(title, style="bold"))
        show_page(self.console, markdown)


def show_page(console: Console, markdown: str) -> None:
    """Show Markdown rendered where there is a terminal, and as it stands elsewhere."""
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        console.print(markdown, markup=False, highlight=False, soft_wrap=True)
