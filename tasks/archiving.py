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
    """Tell in the plan that nothing will be archived after the restore, and the way on."""
    if not job.closed() and (off := _off(job)):
        fact("WAL archiving", off)


def tell(job: Restore) -> None:
    """Tell that nothing is archived, and how that ends; a restore that was closed has told it."""
    if not job.closed() and (off := _off(job)):
        note(f"WAL archiving on {job.node}: {off}")
        if "/bin/false" in job.archiving():
            note(f"WARNING: {job.archiving()}; pg_wal grows until archiving is on again as said")


def _off(job: Restore) -> str:
    """Tell why nothing is archived after the restore, and the way on; empty where it is."""
    reset = (
        "ALTER SYSTEM RESET archive_mode and ALTER SYSTEM RESET archive_command (where they were "
        "set by ALTER SYSTEM: SET them) and restart"
    ) + (", on the standbys too" if job.making_ready.replicating else "")
    if job.archives():
        stops = job.stops_archiving()
        return stops and (
            f"NOTHING IS ARCHIVED after the restore, for the backup was taken so: {stops} in its "
            "postgresql.auto.conf. Where archive_mode is on, pg_wal grows until its disk is full. "
            f"After the restore: {reset}"
        )
    why = "on the old timeline its files would bear the names of archived ones"
    if job.making_ready.fork:
        why = (
            "without data of this system that archives, nobody knows which timelines the archive "
            "has, or whether it is another server's"
        )
    return (
        f"OFF after the restore (archive_mode, archive_command in postgresql.auto.conf): {why}. "
        f"Give it a new place, then {reset}"
    )
