"""Interrupted restores and undos: they come to their end before another restore begins."""

from __future__ import annotations

from runbook import check
from runbook.restore.job import Restore
from runbook.restore.kept import half_undone
from runbook.restore.place import tablespace_place
from runbook.restore.remains import Remains
from runbook.restore.survey import Survey


def none_in_the_way(job: Restore, seen: Survey) -> None:
    """Insist that a run which was interrupted in the outage meant this very restore."""
    spaces = (tablespace_place(each, seen.program_major) for each in seen.own_locations)
    remains = Remains(job, tuple(spaces))
    check(
        "no interrupted run is putting it in place in another way",
        lambda: not job.begun_otherwise(),
        seen=job.begun_otherwise,
        hint="Start again with the timeline and tablespace_map of that run, to bring it to its "
        "end; then restore once more with again=true.",
    )
    check(
        "no interrupted run was restoring over it",
        lambda: not remains.begun_over(),
        seen=lambda: (
            f"the outage has begun for {job.targets.data.incoming(remains.begun_over())}; "
            f"{job.live} is the restore before, or what is left of it"
        ),
        hint=_way_on(job, remains.begun_over()),
    )
    check(
        "no other backup is half in place",
        lambda: not remains.half_swapped(),
        seen=lambda: f"of {remains.half_swapped()}, some parts are in place and some are not",
        hint=f"Start with backup={remains.half_swapped() or 'ID'}, and the other options of that "
        f"run, to bring it to its end; then restore {job.backup.id}.",
    )
    half = half_undone(job.node)
    check(
        "no undo is half done",
        lambda: not half,
        seen=lambda: f"of what was set aside at {half}, some parts are back and some are not",
        hint=f"Start instance-restore-undo with stamp={half}, to bring it to its end; then restore "
        f"{job.backup.id}.",
    )


def none_waits_for_its_end(job: Restore) -> None:
    """Insist that a restore which is in use already is closed before it is made once more."""
    check(
        "no earlier restore of it waits for its end while its server is in use",
        lambda: not job.waits_for_its_end(),
        seen=lambda: f"{job.live} is {job.backup.id}, restored, and accepts writes",
        hint="Start without again=true, which brings that one to its end; then with it.",
    )


def _way_on(job: Restore, begun: str) -> str:
    if begun in ("", job.backup.id):
        return "Start with again=true, and the other options of that run, to bring it to its end."
    return (
        f"Start with backup={begun}, and the other options of that run, to bring it to its end; "
        f"or with again=true, which restores {job.backup.id} anew."
    )
