"""Can the data on a server be replaced by a copy? Everything known before the first change."""

from __future__ import annotations

from runbook import check, fact
from runbook.restore.place import look
from runbook.restore.room import shortage
from runbook.standby import target as targets
from runbook.standby.copying import Copying
from runbook.standby.setup import StandbySetup
from runbook.standby.target import Target
from tasks import fitness

_SPARE_WAL = 64 << 20

_SIZE = """
SELECT (sum(pg_catalog.pg_database_size(oid)))::bigint AS size FROM pg_catalog.pg_database
"""


def directory(setup: StandbySetup, found: Target, *, begun: bool) -> None:
    """Insist on a directory that is PostgreSQL's, and on a free place for the copy."""
    data, standby = found.seen, setup.standby
    fitness.replaceable(data, standby.os_user, begun=begun)
    repl = look(standby.host, setup.repl, standby.os_user)
    check(
        f"{setup.repl} is free, or an earlier run's",
        lambda: not repl.entries or not Copying(setup).secret_is_gone(),
        seen=lambda: f"it has {repl.entries} entries that no run of this runbook has made",
        hint="Look at what it is, and move it away.",
    )


def server(setup: StandbySetup, found: Target) -> None:
    """Insist that the server that answers is the one of the data directory."""
    state, standby = found.state, setup.standby
    if state is None:
        return
    inside = standby.service.seen_inside(found.seen.real)
    told = standby.identity().data_directory
    on_disk = standby.controldata(found.seen.real).system_identifier
    check(
        f"the server that answers on port {standby.port} is the one of the data directory",
        lambda: (
            on_disk == state.system_identifier
            and standby.console.holds("test", told, "-ef", inside, user=standby.server_user)
        ),
        seen=lambda: (
            f"it works in {told} with system {state.system_identifier}; "
            f"{found.seen.real} is of system {on_disk}"
        ),
        hint="Is this another server on the same port, or another directory in the container? "
        "Correct the inventory.",
    )


def versions(setup: StandbySetup) -> None:
    """Insist on the same major version."""
    wanted = str(setup.primary.identity().major)
    standby = setup.standby
    text = standby.workshop().read(
        standby.program("postgres"), "--version", user=standby.server_user
    )
    version = next((word for word in text.split() if word[:1].isdigit()), "").partition(".")[0]
    check(
        f"PostgreSQL on {standby} is version {wanted}, as on {setup.primary}",
        lambda: version == wanted,
        seen=lambda: f"the programs are version {version or 'unknown'}",
        hint="A standby has the major version of its primary.",
    )


def data(setup: StandbySetup, found: Target, *, replace: bool) -> None:
    """Insist that nothing is taken out of service that somebody uses, or that was not agreed to."""
    same = found.system_identifier == setup.system_identifier
    fact("data on the standby now", found.told(), bound=False)
    if not found.is_empty:
        fact("fate of that data", "set aside by renaming, and kept until discard-aside removes it")
    check(
        f"{setup.standby} does not write to the same system as {setup.primary}",
        lambda: not (found.writable and same),
        seen=lambda: "both accept writes: a split brain, and each holds something alone",
        hint="Stop the applications, find out which one is right, and use rejoin for the other.",
    )
    check(
        f"no standby follows {setup.standby}",
        lambda: not found.writable or not targets.followers(setup.standby),
        seen=lambda: f"{targets.followers(setup.standby)} stream from it",
        hint="Is this the right direction? Its standbys would lose their primary.",
    )
    check(
        f"nobody writes to {setup.standby}",
        lambda: not found.writable or targets.is_quiet(found),
        seen=lambda: "transactions were written while it was watched",
        hint="It is a primary in use. Is this the right direction? Else stop its applications.",
    )
    if found.is_empty or found.is_standby_of(setup.system_identifier):
        return
    fact("HELD BY THE STANDBY ALONE", f"system {found.system_identifier}: it leaves service")
    check(
        f"what {setup.standby} holds alone may be set aside",
        lambda: replace,
        seen=found.told,
        hint="If its data shall be replaced by the primary's, start again with replace=true.",
    )


def room(setup: StandbySetup, found: Target, *, begun: bool) -> None:
    """Insist on room for the copy beside the old data."""
    size = int(str(setup.primary.ask(_SIZE)[0]["size"])) + _SPARE_WAL
    lacking = "" if begun else shortage([(found.seen, size)])
    check(
        f"there is room for the copy beside {setup.live}",
        lambda: not lacking,
        seen=lambda: lacking,
        hint="Make room there; the old data stays until the copy has taken its place.",
    )
