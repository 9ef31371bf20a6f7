"""A node that was the primary before returns as a standby.

When: after a promotion, when the old primary's machine is well again.
Loses: nothing without an approval that shows it: what only the returning node holds is kept aside.
Requires: exactly one other writable primary; block "PostgreSQL cluster"; an approval.
Way back: none is needed; what was kept stays until discard-aside removes it.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import health, lost_primary, repmgrd, service, slots
from tasks import rejoin as returning


@procedure("rejoin", needs="replicated")
def rejoin(
    cluster: str,
    node: str = "",
    method: Literal["auto", "rewind", "clone"] = "auto",
    stop_writer: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Let a node return as a standby of the primary.

    Args:
        cluster: Name of the cluster.
        node: Name of the node; empty: the one that is not a sound standby.
        method: auto takes the quickest way that is safe; clone keeps the whole old data aside.
        stop_writer: Split brain: stop the named node although it accepts writes.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find the primary and look at the node that returns"):
        others = health.streaming(shop)
        job = lost_primary.inspect(shop, node, lost_primary.Wishes(method, stop_writer))

    with step("2", "Ask for the go-ahead"):
        approve(f"{job} returns as a standby of {job.primary}; what only it holds is kept aside.")

    with step("3", "Keep repmgrd from acting, and stop PostgreSQL on the node"):
        repmgrd.pause(shop, unless=job.is_prepared)
        returning.stop(job)

    with step("4", "Keep what only the node holds"):
        returning.keep(job)

    with step("5", "Make it a standby of the primary"):
        returning.attach(job)

    with step("6", "Start it as a standby"):
        service.start_standby(job.node)

    with step("7", "Prove that it streams, and remove the slots that it had as a primary"):
        returning.prove(job)
        slots.none_of_its_own(job.node, shop.nodes, job.primary)
        slots.audit(job.primary, (job.node,))

    with step("8", "Let repmgrd work again"):
        repmgrd.unpause(shop)

    with step("9", "Health checks"):
        health.cluster_is_healthy(shop, serving=(job.primary, job.node, *others))
