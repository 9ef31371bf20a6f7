"""A lost standby is cloned again from the living primary.

When: a standby is lost, damaged, or too far behind to catch up.
Loses: nothing of the cluster. What only the old standby held is kept aside with its data.
Requires: exactly one writable primary; block "PostgreSQL cluster"; an approval.
Way back: none is needed; the old data stays aside until discard-aside removes it.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import clones, health, lost_standby, repmgrd, service, slots


@procedure("standby-rebuild", needs="replicated")
def standby_rebuild(
    cluster: str,
    standby: str = "",
    again: bool = False,
    remove_old: bool = False,
    fast_checkpoint: bool = True,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Clone one standby again from the primary.

    Args:
        cluster: Name of the cluster.
        standby: Name of the node; empty: the one standby that is not sound.
        again: Clone it once more although it is a sound standby.
        remove_old: Where there is no room for both: remove the old data first, for good.
        fast_checkpoint: False waits for the primary's next spread checkpoint, up to minutes.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find the primary and look at the standby"):
        others = health.streaming(shop)
        wishes = lost_standby.Wishes(again, remove_old, fast_checkpoint)
        job = lost_standby.inspect(shop, standby, wishes)

    with step("2", "Ask for the go-ahead"):
        approve(f"{job} is cloned again from {job.primary}; until then it serves no reads.")

    with step("3", "Keep repmgrd from acting, and stop PostgreSQL on the standby"):
        repmgrd.pause(shop, unless=job.in_place)
        clones.stop(job)

    with step("4", "Clone the primary beside the old data, and verify the clone"):
        clones.name_primary(job.following)
        clones.clone(job)

    with step("5", "Set the old data aside and put the clone in its place"):
        clones.put_in_place(job)

    with step("6", "Start the standby and register it"):
        service.start_standby(job.node)
        clones.register(job)

    with step("7", "Prove that it streams, and audit the slots"):
        clones.prove(job)
        slots.audit(job.primary, (job.node,))
        clones.close(job)

    with step("8", "Let repmgrd work again"):
        repmgrd.unpause(shop)

    with step("9", "Health checks"):
        health.cluster_is_healthy(shop, serving=(job.primary, job.node, *others))
