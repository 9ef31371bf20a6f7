"""Applications: stopped while their data is replaced, started again after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from runbook import ensure
from runbook.apps import App
from tasks._task import task


@task("stop the applications")
def stop(apps: Sequence[App], *, unless: Callable[[], bool]) -> None:
    """See that no application runs, and that no restart policy starts one, unless all is done."""
    for app in apps:
        ensure(
            f"{app} stands still",
            holds=partial(_stands_still, app, unless),
            by=app.stopping,
            within=60,
        )


@task("start the applications")
def start(apps: Sequence[App]) -> None:
    """See that every application runs as it did, under its own restart policy."""
    for app in apps:
        ensure(f"{app} runs", holds=app.is_up, by=app.starting, within=120)


def _stands_still(app: App, unless: Callable[[], bool]) -> bool:
    return unless() or app.is_still()
