"""Traffic of an application: forced to one machine by switching the others' instances off."""

from __future__ import annotations

from functools import partial

from runbook import Need, check, ensure, fact, note
from runbook.apps import App
from runbook.cluster import Cluster
from runbook.traffic import Traffic, traffic
from tasks import apps
from tasks._task import task

_HINT = "Mend it first, or start it by hand and see why it does not stay. Nothing was switched off."


@task("see where {app} of {cluster} runs")
def find(cluster: Cluster, app: str, to: str) -> Traffic:
    """Find the instances; one that runs and does not work carries no traffic, and is told now."""
    found = traffic(cluster, app, to)
    for each in (*found.carriers, *found.others):
        fact(str(each), "runs" if each.is_running() else "stands still", bound=False)
    told = ", ".join(app.host.name for app in found.carriers)
    fact("traffic", f"goes to {told}" + ("" if found.others else ": every machine there is"))
    for each in found.carriers if not found.is_forced() else ():
        check(
            f"{each} works, or stands still and will be started",
            partial(_works_or_is_still, found, each),
            seen=partial(found.trouble, each, within=0),
            hint=_HINT,
        )
    return found


@task("start the carriers")
def start(found: Traffic) -> None:
    """See that every carrier runs, under its own restart policy."""
    for app in found.carriers:
        apps.started(app, within=30)


@task("switch the others off")
def stop_others(found: Traffic) -> None:
    """See that the others stand still; never before the carriers work."""
    if not found.others:
        note("no instance is switched off")
    works = Need(
        "the traffic has somewhere to go",
        lambda: bool(found.carriers) and not found.troubles(),
        seen=found.troubles,
        hint=_HINT,
    )
    for app in found.others:
        ensure(f"{app} stands still", holds=app.is_still, needs=[works], by=app.stopping, within=60)


@task("see that the carriers work")
def validate(found: Traffic) -> None:
    """Insist that every carrier runs and answers its health checks."""
    for app in found.carriers:
        check(
            f"{app} runs and answers",
            partial(_works, found, app),
            seen=partial(found.trouble, app, within=0),
            hint="Look at the container's log. Starting this runbook with to=all gives all back.",
        )


def _works(found: Traffic, app: App) -> bool:
    return not found.trouble(app)


def _works_or_is_still(found: Traffic, app: App) -> bool:
    return not app.is_running() or _works(found, app)
