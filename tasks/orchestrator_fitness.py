"""Whether an Orchestrator can be backed up as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.orchestrator.backup import Way
from runbook.orchestrator.mark import Marked
from runbook.orchestrator.places import Live, Places, observed, settings_of
from runbook.tools import pg_dump
from runbook.units import readable_bytes
from tasks._task import task

_EMPTIED = "/tmp/"  # noqa: S108
_MARGIN = 2
_SKEW = timedelta(seconds=30)


@task("find the Orchestrator of {cluster}")
def find(cluster: Cluster, way: Way) -> Live:
    """Give the Orchestrator as it answers; its database is there and takes writes."""
    settings_of(cluster)
    live = observed(cluster)
    settings, seen = live.settings, live.identity
    fact("Orchestrator", f"{live}, PostgreSQL {seen.version_text}")
    fact("system identifier", seen.system_identifier)
    fact("way", way)
    fact("configuration", settings.config)
    fact("store", settings.store)
    check(
        f"{live} is no standby",
        lambda: not seen.in_recovery,
        hint="Two Orchestrators must not live; name the one that does.",
    )
    check(
        f"database {settings.database} is on {live}",
        lambda: settings.database in live.sizes,
        seen=lambda: f"there: {', '.join(live.sizes)}",
        hint="Nothing was backed up. Correct orchestrator.database, or look for who dropped it.",
    )
    fact("database", readable_bytes(live.sizes[settings.database]), bound=False)
    if settings.previous is not None:
        check(
            f"{live}, which replaces {settings.previous}, is whole",
            lambda: (mark := Marked(live).read()) is not None and mark.state == "done",
            hint="Bring orchestrator-restore to its end; then it can be backed up. To back up the "
            f"old one, make {settings.previous} the node of the cluster again, without "
            "orchestrator.previous.",
        )
    return live


@task("find the new Orchestrator of {cluster}")
def new(cluster: Cluster) -> Live:
    """Give the new Orchestrator as it answers; it may have no database yet."""
    live = observed(cluster)
    fact("new Orchestrator", f"{live}, PostgreSQL {live.identity.version_text}")
    fact("system identifier", live.identity.system_identifier)
    return live


@task("check the program, the configuration and the space")
def fit(places: Places, way: Way) -> None:
    """Insist on all that a backup needs, on the Orchestrator and in the store."""
    _program_fits(places.live, way)
    _configuration_fits(places.live)
    folder_fits(places.live)
    packed, plain = _sizes(places)
    _is_free(str(places.workshop), places.workshop.folder.free_space(), _MARGIN * packed + plain)
    _is_free(str(places.vault.store), places.vault.store.free_space(), _MARGIN * packed)
    future = [
        backup.id
        for backup in places.vault.backups()
        if backup.finished > datetime.now(UTC) + _SKEW
    ]
    check(
        "no backup is from the future",
        lambda: not future,
        seen=lambda: f"{', '.join(future)}; the worker's clock says {datetime.now(UTC):%F %T} UTC",
        hint="Set the worker's clock: retention and latest go by the time of the backups.",
    )


def _program_fits(live: Live, way: Way) -> None:
    settings = live.settings
    if way == "automated":
        check(
            f"{settings.user} finds {settings.program} on {live}",
            lambda: live.may("which", settings.program),
            hint="Is this the Orchestrator? Set orchestrator.program to the path of its program, "
            "or take the backup the manual way.",
        )
        return
    version = live.node.host.read(
        live.node.program("pg_dump"), "--version", user=live.settings.user
    )
    check(
        f"pg_dump on {live} is of the server's major version, {live.identity.major}",
        lambda: pg_dump.major(version) == live.identity.major,
        seen=version.strip,
        hint=f"Set bin_directory of node {live}: what a newer pg_dump writes may not load into "
        "this server, and an older one refuses it.",
    )


def _configuration_fits(live: Live) -> None:
    settings = live.settings
    check(
        f"{settings.user} can read {settings.config} on {live}, and it is not empty",
        lambda: live.may("test", "-r", settings.config) and live.may("test", "-s", settings.config),
        hint="Set orchestrator.config to the cluster configuration file that is deployed.",
    )


def folder_fits(live: Live) -> None:
    """Insist on a folder for archives that can be used, and survives."""
    settings = live.settings
    check(
        f"{settings.user} can write to {live.directory} on {live}",
        live.is_writable,
        hint=f"On {live}: install -d -m 0700 -o {settings.user} {live.directory}",
    )
    check(
        f"{live.directory} on {live} lies outside the data directory",
        lambda: not live.is_inside_the_data(),
        seen=lambda: f"the data directory is {live.identity.data_directory}",
        hint="Set orchestrator.directory: a restore replaces the data directory.",
    )
    if f"{live.directory}/".startswith(_EMPTIED):
        note(f"{live.directory} is emptied when {live} reboots; set orchestrator.directory")


def _sizes(places: Places) -> tuple[int, int]:
    """Expect an archive as the last one, or as its database, and beside it the dump it is of."""
    known = places.vault.sound()
    plain = places.live.sizes[places.live.settings.database]
    return (known[-1].size if known else plain), plain


def _is_free(where: str, free: int | None, needed: int) -> None:
    if free is None:
        return
    fact(f"free in {where}", readable_bytes(free), bound=False)
    check(
        f"{where} has room for the archive",
        lambda: free > needed,
        seen=lambda: f"{readable_bytes(free)} free, {readable_bytes(needed)} needed",
        hint="Nothing is pruned before the new archive is verified. Make room.",
    )
