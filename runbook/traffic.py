"""Traffic of an application that runs on several machines: which of them carry it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from runbook.apps import App
from runbook.cluster import Cluster
from runbook.errors import SettingsError
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem

EVERYWHERE = "all"

_STEADY_SECONDS = 2.0


@dataclass(frozen=True)
class Traffic:
    """The instances of an application that shall carry its traffic, and those that shall not."""

    cluster: Cluster
    carriers: tuple[App, ...]
    others: tuple[App, ...]

    def checks(self, app: App) -> tuple[HttpCheck, ...]:
        """Give the declared health checks of an instance."""
        return tuple(check for check in self.cluster.health if check.name in app.health)

    def trouble(self, app: App, *, within: float | None = None) -> str:
        """Tell why an instance carries no traffic; nothing when it runs and answers."""
        if not app.is_up():
            return f"{app} does not run as it should"
        for check in self.checks(app):
            if found := problem(check, self.cluster.health_secrets, within=within):
                return f"{app} runs, but {check.name}: {found}"
        return ""

    def troubles(self) -> str:
        """Tell what is wrong with the carriers; nothing when all of them work and stay up.

        Seen twice, because a container that dies at once is running in between.
        """
        found = [self.trouble(app) for app in self.carriers]
        if not any(found):
            time.sleep(_STEADY_SECONDS)
            found = ["" if app.is_up() else f"{app} did not stay up" for app in self.carriers]
        return "; ".join(filter(None, found))

    def is_forced(self) -> bool:
        """Tell whether the others stand still already."""
        return all(app.is_still() for app in self.others)


def traffic(cluster: Cluster, name: str, to: str) -> Traffic:
    """Find the instances of an application: those on machine `to` shall carry, or all of them."""
    instances = tuple(app for app in cluster.apps if app.name == name)
    if not instances:
        known = ", ".join(sorted({app.name for app in cluster.apps}))
        raise SettingsError(
            f"cluster {cluster} has no application {name!r}", detail=f"known: {known or 'none'}"
        )
    machines = sorted(app.host.name for app in instances)
    if to not in (EVERYWHERE, *machines):
        raise SettingsError(
            f"{name} does not run on {to!r}", detail=f"it runs on {', '.join(machines)}, or all"
        )
    _insist_on_checks(cluster, instances)
    carriers = tuple(app for app in instances if to in (EVERYWHERE, app.host.name))
    return Traffic(cluster, carriers, tuple(app for app in instances if app not in carriers))


def _insist_on_checks(cluster: Cluster, instances: tuple[App, ...]) -> None:
    known = {check.name for check in cluster.health}
    for app in instances:
        unknown = sorted(set(app.health) - known)
        if unknown:
            raise SettingsError(
                f"{app} names health checks that cluster {cluster} does not have: {unknown}",
                detail=f"known: {', '.join(sorted(known)) or 'none'}",
            )
