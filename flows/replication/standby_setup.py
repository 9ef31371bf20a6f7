"""A passive standby of a primary, in containers or on plain hosts.

When: a second server shall follow the first, to take over after a major incident.
Loses: nothing. What the standby held before is set aside; the primary restarts only if it must.
Requires: a running primary that the standby reaches; an approval.
Way back: stop the standby and rename its old data back; discard-aside removes it for good.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import health, service, standby_commits, standby_fitness, standby_primary
from tasks import standby as following


@procedure("standby-setup", needs="replicated")
def standby_setup(
    cluster: str,
    standby: str,
    replace: bool = False,
    synchronous: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Make one node of a cluster the passive standby of its primary.

    Args:
        cluster: Name of the cluster.
        standby: Name of the node that shall follow; the primary is found by asking.
        replace: Set aside data that the standby holds alone, such as that of its own installation.
        synchronous: Every commit waits for the standby; all hang while it is down.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find the primary, and check that the standby can follow it"):
        others = health.streaming(shop)
        setup = standby_fitness.choose(shop, standby)
        standby_fitness.fits(setup, replace=replace, synchronous_mode=synchronous)

    with step("2", "Ask for the go-ahead"):
        approve(f"{setup.standby} becomes the passive standby of {setup.primary}.")

    with step("3", "Create a special account for primary-secondary stream replication"):
        standby_primary.replication_role(setup)

    with step("4", "Modify the primary configuration"):
        standby_primary.primary_settings(setup)

    with step("5", "Add the rule to pg_hba.conf"):
        standby_primary.access_rule(setup)

    with step("6", "Reserve a replication slot on the primary"):
        standby_primary.slot(setup)

    with step("7", "Synchronize data into the repl directory"):
        following.copy(setup)

    with step("8", "Stop the secondary"):
        standby_commits.release(setup)
        service.stop(setup.standby, unless=setup.in_place)

    with step("9", "Set the db directory aside and rename repl to db"):
        following.put_in_place(setup)

    with step("10", "Start the secondary"):
        following.start(setup)

    with step("11", "View primary-secondary replication information"):
        following.view(setup)

    with step("12", "Verify primary-secondary configuration"):
        following.prove(setup)
        standby_commits.synchronous_mode(setup, wanted=synchronous)

    with step("13", "Health checks"):
        health.cluster_is_healthy(shop, serving=(setup.primary, setup.standby, *others))
