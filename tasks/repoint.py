"""Repointing: the applications get the address of another primary, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from runbook import Need, check, ensure, fact, note, together
from runbook.apps import App
from runbook.errors import RunbookError, SettingsError
from runbook.repoint.job import Repointing, read
from runbook.repoint.target import Target
from tasks._task import task
from tasks.apps import Start, has_containers, tell_missing

_DEFAULT_PORT = 5432
_STOP_SECONDS = 60
_START_SECONDS = 120


@task("choose the applications")
def chosen(apps: Sequence[App], skip: str = "") -> tuple[App, ...]:
    """Leave out the applications or hosts that `skip` names, knowingly: the plan says so."""
    names = {name.strip() for name in skip.split(",") if name.strip()}
    known = {name for app in apps for name in (app.name, app.host.name, str(app))}
    if names - known:
        raise SettingsError(
            f"skip names what there is not: {', '.join(sorted(names - known))}",
            detail=f"known: {', '.join(sorted(known)) or 'none'}",
        )
    out = [app for app in apps if names & {app.name, app.host.name, str(app)}]
    together([partial(_left_out, app) for app in out])
    return tuple(app for app in apps if app not in out)


@task("check that the applications can be repointed to {address}")
def possible(apps: Sequence[App], address: str, port: int | None = None) -> None:
    """Insist, before anything changes, on files that are understood and hosts that answer."""
    repointing = Repointing(_with_settings(apps), Target(address, port))
    names = ", ".join(map(str, repointing.apps))
    check(
        f"the files of {names or 'no application'} can be pointed to {repointing.target}",
        lambda: repointing.is_done() or bool(repointing.actions()),
    )
    for app in repointing.has_no_port() if port not in (None, _DEFAULT_PORT) else ():
        note(f"{app}: no variable holds a port, so {port} is written nowhere")


@task("stop the applications")
def stop(apps: Sequence[App], *, unless: Callable[[], bool] = lambda: False) -> None:
    """See that no application runs or is started by a policy; remove volumes where it is set."""
    together([partial(_stopped, app, unless) for app in apps])


@task("point the applications to {address}")
def applications(apps: Sequence[App], address: str, port: int | None = None) -> None:
    """See that the files of all applications name the database, or leave all as they are."""
    repointing = Repointing(_with_settings(apps), Target(address, port))
    for app in apps:
        if not app.database:
            note(f"{app} has no database settings: its address is not changed")
    with repointing.all_or_none():
        ensure(
            f"the files of every application name {repointing.target}",
            holds=repointing.is_done,
            by=repointing.actions,
        )


@task("recreate the applications")
def recreate(apps: Sequence[App], address: str, port: int | None = None) -> None:
    """See that every application runs, with the address of its files."""
    together([partial(_recreated, app, Target(address, port)) for app in apps])


def _left_out(app: App) -> None:
    """Tell what becomes of it: a run of before may have stopped it, and nothing starts it again."""
    note(f"{app} is left out by skip: it is not stopped, and keeps the old address")
    try:
        if app.is_still():
            lines = "; ".join(f"on {action.where}: {action}" for action in app.starting())
            told = "stopped already, by a run of before or by hand, and skip leaves it so"
            fact(f"STANDS STILL: {app}", f"{told}. To start it: {lines}")
    except RunbookError as error:
        note(f"whether {app} runs is not known: {error.message}")


def _stopped(app: App, unless: Callable[[], bool]) -> None:
    ensure(
        f"{app} stands still",
        holds=app.is_still,
        by=partial(app.managed_by.stopping_for_promotion, app.host),
        within=_STOP_SECONDS,
        unless=unless,
    )


def _recreated(app: App, target: Target) -> None:
    uses = f" and uses {target}" if app.database else ""
    needs = [Need(f"the files of {app} name {target}", partial(_names, app, target))]
    if not app.is_made_anew:
        tell_missing(app)
        needs.append(has_containers(app))
    start = Start(app, app.recreating)
    ensure(
        f"{app} runs{uses}",
        holds=partial(_runs_with, start, target),
        by=start.actions,
        needs=needs,
        within=_START_SECONDS,
    )


def _with_settings(apps: Sequence[App]) -> tuple[App, ...]:
    return tuple(app for app in apps if app.database)


def _names(app: App, target: Target) -> bool:
    return not app.database or read([app])[0].names(target)


def _runs_with(start: Start, target: Target) -> bool:
    app = start.app
    if app.database:
        reading = read([app])[0]
        if not reading.names(target) or not app.managed_by.has_taken(reading):
            return False
    return start.is_up()
