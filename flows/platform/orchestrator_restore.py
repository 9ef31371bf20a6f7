"""A restore of the Orchestrator onto a new machine, in place of the old one.

When: the Orchestrator is lost or damaged, or moves to another machine.
Loses: what the Orchestrator did after the backup; the cluster goes on all the while.
Requires: orchestrator and orchestrator.previous in block "PostgreSQL cluster"; an approval.
Way back: what the new one had before is kept aside; stop the new one, start the old one again.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from runbook.orchestrator.places import opened
from tasks import orchestrator_choice as choice
from tasks import orchestrator_fit, orchestrator_fitness, orchestrator_retirement
from tasks import orchestrator_restore as restore


@procedure("orchestrator-restore", needs="orchestrator", replaces=True)
def orchestrator_restore(
    cluster: str,
    backup: str = "latest",
    release: str = "",
    new_address: bool = False,
    old_is_off: str = "",
    node_number: int = 1,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Make the node of the cluster the Orchestrator that a backup was taken of.

    Args:
        cluster: Name of the cluster whose one node is the new Orchestrator.
        backup: Id of the backup, or latest: the newest, unless a restore was begun here: then its.
        release: Release of the platform, where the archive does not tell it.
        new_address: It is right that the new one does not have the address of the old one.
        old_is_off: If nobody can log in to the old one: who saw that it is off, when, how.
        node_number: Node that step 11 logs in to, by its number in orchestrator-cli's list.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    orchestrator = orchestrator_fitness.new(load_cluster(cluster))

    with opened(orchestrator, load_store) as places:
        with step("1", "Choose the backup and check that it fits"):
            job = choice.choose(
                places,
                backup,
                release,
                old_is_off,
                new_address=new_address,
                node_number=node_number,
            )
            orchestrator_fit.fit(job)
            orchestrator_retirement.possible(job)

        with step("2", "Verify the backup in the store"):
            choice.verify(job)

        with step("3", "Ask for the go-ahead"):
            approve(job.question)

        with step("4", "Copy the backup to the new Orchestrator"):
            restore.copy(job)

        with step("5", "Take the old Orchestrator out of service and prove it"):
            orchestrator_retirement.retire(job)

        with step("6", "Initialize the Orchestrator cluster configuration"):
            restore.initialise(job)

        with step("7", "Make the database empty"):
            restore.empty(job)

        with step("8", "Import the database"):
            restore.load(job)

        with step("9", "Check with psql -l"):
            restore.database_is_right(job)

        with step("10", "Re-run the deploy with the --dry option"):
            restore.configure(job)
            restore.rehearse(job)

        with step("11", "Run a quick sanity check with orchestrator-cli ssh"):
            restore.log_in(job)

        with step("12", "Remove the copies, and tell what is to be done now"):
            orchestrator_retirement.stays_out(job)
            restore.conclude(job)
