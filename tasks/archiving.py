"""WAL archiving of a restored server: it must not write over the files of an archive."""

from __future__ import annotations

from runbook import check, fact, note
from runbook.restore.job import Restore


def none_by_command_line(job: Restore) -> None:
    """Insist on it of the server that runs: in the plan of the one before, where it tells."""
    check(
        "no command line lets it archive into the archive of before",
        lambda: not job.archives_by_command_line(),
        seen=job.archiving,
        hint="It may write over the files of an archive: take archive_mode and archive_command out "
        "of the server's command line (options of the service, its unit; a container is made anew "
        "without them), restart it, and start the runbook again.",
        unless=lambda: job.in_place() and job.closed(),
    )


def foresee(job: Restore) -> None:
    """Say in the plan that it is off after the restore, why, and how it comes back."""
    if not job.closed() and not job.archives():
        fact("WAL archiving", _off(job))


def tell(job: Restore) -> None:
    """Say at the end of the restore that it is off, and what grows meanwhile."""
    if not job.closed() and not job.archives():
        note(f"WAL archiving on {job.node}: {_off(job)}")
        if "/bin/false" in job.archiving():
            note(f"WARNING: {job.archiving()}; pg_wal grows until archiving is on again as said")


def _off(job: Restore) -> str:
    why = "on the old timeline its files would bear the names of archived ones"
    if job.making_ready.fork:
        why = (
            "without data of this system that archives, nobody knows which timelines the archive "
            "has, or whether it is another server's"
        )
    return (
        f"OFF after the restore (archive_mode, archive_command in postgresql.auto.conf): {why}. "
        "Give it a new place, then ALTER SYSTEM RESET archive_mode and ALTER SYSTEM RESET "
        "archive_command (where they were set by ALTER SYSTEM: SET them) and restart"
        + (", on the standbys too" if job.making_ready.replicating else "")
    )
