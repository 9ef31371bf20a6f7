"""repmgrd: kept from acting while a runbook changes roles."""

from __future__ import annotations

from collections.abc import Callable

from runbook import ensure
from runbook.cluster import Cluster
from runbook.replication.repmgrd import Daemons, daemons, pausing, unpausing
from tasks._task import task


@task("pause repmgrd")
def pause(cluster: Cluster, *, unless: Callable[[], bool] = lambda: False) -> None:
    """See that no repmgrd promotes or follows by itself, unless the danger is over.

    A run that fails leaves it paused: half-changed roles are no time for another failover.
    """
    asked = _Asked(cluster)
    ensure(
        f"no repmgrd of {cluster} acts by itself",
        holds=lambda: not asked.now().acting,
        by=lambda: pausing(asked.last()),
        within=30,
        unless=unless,
    )


@task("let repmgrd work again")
def unpause(cluster: Cluster) -> None:
    """See that no repmgrd of the nodes that answer is paused."""
    asked = _Asked(cluster)
    ensure(
        f"no repmgrd of {cluster} is paused",
        holds=lambda: not asked.now().paused,
        by=lambda: unpausing(asked.last()),
        within=30,
    )


class _Asked:
    """What the daemons answered, kept for the actions: asking takes time that others wait."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._found: Daemons | None = None

    def now(self) -> Daemons:
        self._found = daemons(self._cluster.nodes)
        return self._found

    def last(self) -> Daemons:
        return self._found or self.now()
