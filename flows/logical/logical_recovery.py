"""Recovery of all databases of a cluster from a logical backup.

When: the databases of an a9s-pg cluster are lost or wrong, here or in a new site.
Loses: everything written after the backup. Databases of before are kept aside on the primary.
Requires: block "PostgreSQL cluster" with repmgr, logical and the key of the backup; an approval.
Way back: the old databases stand aside on the primary; the page says how they return.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from tasks import (
    apps,
    clones,
    health,
    logical_choice,
    logical_fitness,
    logical_lineup,
    logical_outage,
    logical_port,
    logical_primary,
    logical_proof,
    logical_slots,
    repmgrd,
    repoint,
    topology,
)
from tasks import logical_recovery as recovery


@procedure("logical-recovery", needs="logical")
def logical_recovery(
    cluster: str,
    backup: str = "latest",
    scenario: Literal["same-deployment", "new-site"] = "same-deployment",
    without: str = "",
    skip: str = "",
    remove_old: bool = False,
    again: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Put all databases of a cluster back to a logical backup, and make its standbys anew.

    Args:
        cluster: Name of the cluster.
        backup: Id of the backup, <guid>-<timestamp>, or latest.
        scenario: new-site also runs the site's own script of roles and databases.
        without: Nodes that do not take part, separated by commas.
        skip: Applications to leave out knowingly, by name, separated by commas.
        remove_old: Where a standby has no room for both, remove its old data first, for good.
        again: Recover once more although this backup is already in place.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    settings = logical_choice.settings(shop)
    clients = repoint.chosen(shop.apps, skip)

    with logical_port.never_left_closed(shop, settings):
        with step("1", "Retrieve the required information and find the primary node"):
            nodes = logical_lineup.choose(shop, settings, without)

        with logical_choice.opened(load_store(settings.store), nodes) as store:
            with step("2", "Verify the whole backup, and what it would create"):
                job = logical_choice.chosen(shop, store, nodes, backup, again=again)
                logical_fitness.fits(
                    job, settings, clients, scenario=scenario, remove_old=remove_old
                )

            with step("3", "Ask for the go-ahead"):
                approve(
                    f"All databases in {job} replace those of {shop}; what came after it is lost."
                )

            with step("4", "Stop the applications"):
                apps.stop(clients, unless=job.is_proven)

            with step("5", "Stop the standby nodes"):
                repmgrd.pause(shop, unless=job.is_finished)
                logical_outage.stop_standbys(job)

            with step("6", "Stop repmgr on the primary"):
                logical_outage.stop_repmgr(job, settings)

            with step("7", "Drop replication slots"):
                logical_slots.drop(job)

            with step("8", "Block the port and terminate running processes"):
                logical_port.close(job, settings)
                logical_outage.end_sessions(job)

            with step("9", "Clean up the startup lock directory"):
                logical_outage.clear_locks(job, settings)

            with step("10", "Set the existing databases aside"):
                recovery.set_aside(job)

            with step("11", "Recover the backup"):
                recovery.load(shop, job, settings)

            with step("12", "Prove what was loaded"):
                logical_proof.prove(job, settings)

            with step("13", "Update the database roles"):
                logical_primary.update_roles(job, settings, scenario=scenario)

            with step("14", "Clean up repmgr and register the primary"):
                logical_primary.clean_repmgr(job)

            with step("15", "Clone, start and register the standby nodes"):
                clones.rebuild(
                    nodes.standbys, nodes.primary, of=job.origin(), remove_old=remove_old
                )
                logical_primary.audit_slots(job)

            with step("16", "Open the port and start the applications"):
                logical_port.open_again(job, settings)
                apps.start(clients)

    with step("17", "Start repmgr and check the cluster's health"):
        logical_outage.start_repmgr(job, settings)
        repmgrd.unpause(shop)
        topology.show(shop, nodes.primary)
        health.cluster_is_healthy(shop, serving=nodes.members, apps=clients)
        recovery.finish(job)
