"""Applications: stopped while their data is replaced, started again after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runbook import Need, ensure, fact
from runbook.actions import Action
from runbook.apps import App
from runbook.run import current
from tasks._task import task


@dataclass
class Start:
    """A start of an application by this run: what has ended since it began has done its work."""

    app: App
    by: Callable[[], Sequence[Action]]
    begun: bool = False

    def actions(self) -> Sequence[Action]:
        """Give what starts it, at the moment when that is done."""
        self.begun = True
        return self.by()

    def is_up(self) -> bool:
        """Ask whether all of it runs that should."""
        return self.app.is_up(begun=self.begun)


@task("stop the applications")
def stop(apps: Sequence[App], *, unless: Callable[[], bool]) -> None:
    """See that no application runs, and that no restart policy starts one, unless all is done."""
    for app in apps:
        ensure(
            f"{app} stands still",
            holds=app.is_still,
            by=app.stopping,
            within=60,
            unless=unless,
        )


@task("start the applications")
def start(apps: Sequence[App]) -> None:
    """See that every application runs as it did, under its own restart policy."""
    for app in apps:
        started(app, within=120)


def started(app: App, *, within: float) -> None:
    """See that an application runs; a start makes no containers, and does not try to."""
    tell_missing(app)
    start = Start(app, app.starting)
    ensure(
        f"{app} runs",
        holds=start.is_up,
        needs=[has_containers(app)],
        by=start.actions,
        within=within,
    )


def given_back(app: App, *, within: float) -> None:
    """See that an application runs again that this run has stopped, or removed."""
    start = Start(app, app.recreating)
    ensure(
        f"{app} runs",
        holds=lambda: (start.begun or app.is_running()) and start.is_up(),
        by=start.actions,
        within=within,
    )


def has_containers(app: App) -> Need:
    """Need that something is there to be started: `compose down` removes what it stops."""
    return Need(
        f"{app} has containers to start",
        app.is_made,
        seen=lambda: "none is there, not even a stopped one: they were removed, as by `down`",
        hint=f"Make and start them on {app.host}: {_making(app)}. Then start the runbook again. "
        "Where it is to stay away, take it out of the inventory first.",
    )


def tell_missing(app: App) -> None:
    """Say it in the plan, where a need is not asked for; making them leaves the plan as it is."""
    if not current().planning:
        return
    if app.managed_by.make() == app.managed_by.start() or app.is_made() or app.is_up():
        return
    ends = "none to be started: the run ends at its start unless they are made before"
    fact(f"NO CONTAINERS of {app}", f"{ends}, on {app.host}: {_making(app)}", bound=False)


def _making(app: App) -> str:
    return app.host.shown(app.managed_by.make())
