"""Slots in a logical recovery: nobody may keep the WAL of the load, or a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from runbook import ensure
from runbook.errors import CheckFailed, CommandFailed
from runbook.logical.recovery.job import Recovery
from runbook.replication.configuration import configuration
from runbook.replication.slots import Slot, slots
from runbook.run import current
from tasks._task import task
from tasks.slots import drops

_SLOT_SECONDS = 30.0


@task("drop the slots of the standbys on {job.primary}")
def drop(job: Recovery) -> None:
    """See that no WAL of the load is kept for standbys that are cloned anew."""
    primary = job.primary
    if not current().planning:
        ensure(
            f"nobody uses the slots of the standbys on {primary} any more",
            holds=lambda: job.is_proven() or not any(slot.active for slot in _of_the_standbys(job)),
            by=(),
            within=_SLOT_SECONDS,
        )
    ensure(
        f"{primary} keeps no WAL for a node that is cloned anew, now or later",
        holds=lambda: job.is_proven() or not _of_the_standbys(job),
        by=lambda: drops(primary, _of_the_standbys(job)),
        within=10,
    )


def foreign(job: Recovery) -> tuple[Slot, ...]:
    """Give the slots that would keep all WAL of the load, or a database from being set aside."""
    ours = {slot.name for slot in _of_the_standbys(job)}
    others = (slot for slot in slots(job.primary) if slot.name not in ours)
    return tuple(slot for slot in others if hinders(slot, job.names))


def hinders(slot: Slot, names: Sequence[str]) -> bool:
    """Tell whether a slot keeps WAL that nobody fetches, or one of the databases in use."""
    return not slot.temporary and (not slot.active or slot.database in names)


def _of_the_standbys(job: Recovery) -> tuple[Slot, ...]:
    """Give the slots of all nodes that the run stops: also those left out are cloned anew later."""
    names = {configuration(node).slot for node in job.lineup.standbys}
    for node in set(job.lineup.stopped) & set(job.lineup.left_out):
        with suppress(CheckFailed, CommandFailed):  # it need not have a repmgr.conf
            names.add(configuration(node).slot)
    return tuple(slot for slot in slots(job.primary) if slot.name in names)
