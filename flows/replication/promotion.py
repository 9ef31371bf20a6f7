"""Promotion of a standby: a planned switchover, or a failover when the primary is gone.

When: the primary needs maintenance (planned), or is gone and does not come back (failover).
Loses: planned: nothing, proven. Failover: what the new primary had not received; the plan shows it.
Requires: repmgr on every node and in its settings; for a failover a way to fence; an approval.
Way back: planned: promotion again, to the other node. Failover: rejoin makes the old one a standby.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import (
    fencing,
    followers,
    handover,
    health,
    metadata,
    primary,
    repmgrd,
    repoint,
    topology,
)


@procedure("promotion", needs="replicated")
def promotion(
    cluster: str,
    to: str = "",
    mode: Literal["planned", "failover"] = "planned",
    old_primary_is_off: str = "",
    accept_behind: bool = False,
    skip: str = "",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Make a standby the primary, and point the applications to it.

    Args:
        cluster: Name of the cluster.
        to: Node to promote; empty: the best standby, and never a second one.
        mode: planned stops a healthy primary cleanly; failover fences one that does not answer.
        old_primary_is_off: Failover, if it cannot be fenced: who saw that it is off, when, how.
        accept_behind: Promote this node, though another has more or a silent one a newer timeline.
        skip: Applications to leave out knowingly, by name, separated by commas.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with handover.way_back_told(shop):
        with step("1", "Choose the node to promote and check that it can take over"):
            apps = repoint.chosen(shop.apps, skip)
            job = handover.choose(shop, to, mode, accept_behind=accept_behind)
            fencing.possible(job, old_primary_is_off)
            repoint.possible(apps, job.address, job.port)

        with step("2", "Ask for the go-ahead"):
            approve(job.question)

    with primary.way_back(job, apps):
        with step("3", "Pause repmgrd on every node"):
            repmgrd.pause(job.living, unless=job.was_promoted)

        with step("4", "Stop the application services on every app node"):
            repoint.stop(apps, unless=job.was_promoted)

        with step("5", "Take the old primary out of service and prove it"):
            stopped = fencing.take_out(job, old_primary_is_off)

        with step("6", "Rehearse the promotion on the candidate"):
            handover.nobody_is_ahead(job, accept_behind=accept_behind)
            primary.has_everything(job)
            primary.rehearse(job)
            fencing.stays_out(job, stopped)

    with step("7", "Promote the candidate"):
        primary.promote(job)
        metadata.name_primary(job)
        primary.alone(job)

    with step("8", "Let the other standbys follow it"):
        followers.follow(job)
        followers.tidy(job)

    with step("9", "Check the status with cluster show"):
        topology.show(shop, job.new)

    with step("10", "Point docker-compose.yml to the new primary on every app and gateway node"):
        primary.alone(job)
        repoint.applications(apps, job.address, job.port)

    with step("11", "Restart the application services"):
        repoint.recreate(apps, job.address, job.port)

    with step("12", "Let repmgrd work again"):
        repmgrd.unpause(job.living)

    with step("13", "Validation"):
        primary.alone(job)
        followers.streaming(job, accept_behind=accept_behind)
        health.cluster_is_healthy(shop, serving=followers.in_service(job), apps=apps)
        handover.conclude(job)
