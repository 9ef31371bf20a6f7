"""Restore of a whole repmgr cluster from a base backup.

When: the data of all nodes is lost, damaged, or must go back to an earlier night.
Loses: everything written after the backup, on every node. Old data is kept aside on each of them.
Requires: blocks "PostgreSQL cluster", with repmgr, and "backup store"; an approval.
Way back: the old data stands aside on every node; the page says how it returns.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from tasks import (
    apps,
    catalogue,
    clones,
    health,
    lineup,
    repmgrd,
    repoint,
    restore,
    restore_fitness,
    service,
    topology,
    whole,
)


@procedure("cluster-restore", needs="replicated")
def cluster_restore(
    cluster: str,
    backup: str = "latest",
    primary: str = "",
    without: str = "",
    skip: str = "",
    timeline: Literal["fork", "keep"] = "fork",
    tablespace_map: str = "",
    other_system: bool = False,
    remove_old: bool = False,
    again: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Put a whole replicating cluster back to a base backup, with its applications.

    Args:
        cluster: Name of the cluster.
        backup: Id of the backup, or latest.
        primary: Node that becomes the primary; only where not exactly one node is it now.
        without: Nodes that do not take part, separated by commas.
        skip: Applications to leave out knowingly, by name, separated by commas.
        timeline: fork begins a new timeline, keep goes on with the old one as the page does.
        tablespace_map: OLDDIR=NEWDIR pairs for the primary, separated by commas.
        other_system: Replace another database system's data, or use another cluster's backup.
        remove_old: Where the primary has no room for both, remove its old data first, for good.
        again: Restore once more although this backup is already in place.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    wishes = restore_fitness.Wishes(timeline, tablespace_map, other_system, remove_old, again, True)

    with step("1", "Look at every node and choose the primary"):
        nodes = lineup.choose(shop, primary, without)
        clients = repoint.chosen(shop.apps, skip)

    with catalogue.opened(load_store(shop.backups.store), shop, nodes.primary) as backups:
        with step("2", "Choose the backup and check that it fits every node"):
            chosen = restore_fitness.choose(backups, shop, backup, wishes)
            job = restore_fitness.fits(nodes.primary, chosen, backups, wishes)
            all_nodes = lineup.fits(nodes, clients, job, backups, wishes)

        with step("3", "Verify the backup, beside the living data where there is room"):
            restore.make_ready(job)

        with step("4", "Ask for the go-ahead"):
            approve(f"All nodes of {shop} go back to {chosen.id}; what came after it is lost.")

        with step("5", "Stop the applications on every node"):
            restore.begin_outage(job, clients)
            apps.stop(clients, unless=job.in_place)

        with step("6", "Stop PostgreSQL on every node"):
            repmgrd.pause(shop, unless=all_nodes.is_done)
            whole.stop(all_nodes)

        with step("7", "Set the primary's data aside and put the backup in its place"):
            restore.put_in_place(job)

    with step("8", "Start PostgreSQL on the primary"):
        service.start(nodes.primary)
        restore.finish(job)
        whole.tell_waiting(all_nodes)

    with step("9", "Prove the data and start the applications"):
        health.every_relation(nodes.primary)
        apps.start(clients)
        restore.serves(job)

    with step("10", "Put repmgr's metadata right"):
        whole.put_metadata_right(all_nodes)

    with step("11", "Set the standbys' data aside, clone, start and register them"):
        clones.rebuild(nodes.standbys, nodes.primary, of=all_nodes.origin())

    with step("12", "Check slots, replication and repmgr"):
        whole.audit_slots(all_nodes)
        whole.agrees(all_nodes)
        topology.show(shop, nodes.primary)
        repmgrd.unpause(shop)

    with step("13", "Validation"):
        health.cluster_is_healthy(shop, serving=nodes.members, apps=clients)
        whole.tell_redundancy(all_nodes)
        health.report(job, shop.objectives)
        restore.close(job)
