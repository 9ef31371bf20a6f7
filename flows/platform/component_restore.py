"""Restore of component databases from their dumps.

When: a component database is lost, damaged, or must go back to an earlier dump.
Loses: what was written to it after the dump. The old database is kept beside the new one.
Requires: block "PostgreSQL cluster" with components; an approval.
Way back: rename the old database back; the page says how.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from runbook.components.giving_up import taken_back
from runbook.components.places import opened
from tasks import (
    apps,
    component_choice,
    component_fitness,
    component_hold,
    component_readers,
    health,
)
from tasks import component_restore as restore


@procedure("component-restore", needs="components")
def component_restore(
    cluster: str,
    database: str,
    backup: str = "latest",
    source: Literal["local", "store"] = "local",
    other_system: bool = False,
    again: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Put one component database back to a dump, or all of them.

    Args:
        cluster: Name of the cluster.
        database: Name of the component database, or all.
        backup: Id of the dump, the 14 digits in its name, or latest.
        source: local takes the dump from the primary's folder, store from the store.
        other_system: Restore even a dump of another database system.
        again: Restore once more although this dump is already in place.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find the primary and choose the dumps"):
        group = component_choice.find(shop)

    with opened(group, load_store) as places, taken_back(places):
        with step("2", "Check that the dumps fit"):
            jobs = component_choice.choose(places, database, backup, source, again=again)
            component_fitness.fit(places, jobs, other_system=other_system)

        with step("3", "Bring the dumps to the primary and verify them to the last byte"):
            component_choice.bring(places, jobs, source)
            component_fitness.verify(jobs)
            component_hold.hold(places, jobs)

        with step("4", "Ask for the go-ahead"):
            approve(f"{database} of {shop} goes back; what was written since the dump is lost.")

        with step("5", "Load every dump into a new database, beside the living one"):
            restore.load(jobs)

        with step("6", "Check the new databases"):
            restore.prove(jobs)

        with step("7", "Stop the applications"):
            apps.stop(shop.apps, unless=lambda: all(job.in_place() for job in jobs))

        with step("8", "Put the new databases in place, the old ones aside"):
            restore.put_in_place(jobs)
            component_readers.end(group, jobs)

        with step("9", "Start the applications"):
            restore.let_in(group, jobs)
            apps.start(shop.apps)

        with step("10", "Check the health"):
            restore.close(jobs)
            component_hold.release(places, jobs)
            health.cluster_is_healthy(shop)
