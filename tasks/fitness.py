"""Does a backup fit a node? Everything that can be known before the first change."""

from __future__ import annotations

from runbook import check, fact
from runbook.backups.backup import Backup
from runbook.postgres import Node
from runbook.restore.place import Look, Place, kept
from runbook.restore.remains import half_restored
from runbook.restore.survey import Survey


def directory(node: Node, seen: Survey) -> None:
    """Insist that the data directory may be replaced, and that it is its owner's."""
    data = seen.data
    replaceable(data, node.os_user, begun=seen.begun)
    check(
        f"it belongs to {node.os_user}",
        lambda: not data.exists or data.owner == node.os_user,
        seen=lambda: f"{data.real} belongs to {data.owner}",
        hint="Correct os_user in the inventory, or the owner of the directory.",
    )


def replaceable(data: Look, user: str, *, begun: bool) -> None:
    """Insist that a data directory is PostgreSQL's, or empty, and can be set aside as it is."""
    check(
        "the data directory is PostgreSQL's, or empty",
        lambda: begun or bool(data.version) or data.entries == 0,
        seen=lambda: f"{data.real} has {data.entries} entries and no PG_VERSION",
        hint="Correct data_directory in the inventory; nothing else is ever set aside.",
    )
    check(
        "there is a directory, or one can be made",
        lambda: data.exists or data.stays == "no",
        seen=lambda: f"{data.real} does not exist and its parent is closed to {user}",
        hint="Create the directory for the server's user, mode 0700.",
    )
    check(
        "nothing is mounted inside the data directory",
        lambda: not data.mounted_inside,
        seen=lambda: f"{data.mounted_inside} is a mount point",
        hint="Mount it elsewhere and make it a symbolic link (pg_wal) or a tablespace.",
    )


def server(node: Node, seen: Survey, *, standby: bool = False) -> None:
    """Insist that the server that answers is the one of the settings.

    It must be no standby, unless the whole cluster goes back and it may be one.
    """
    running = seen.running
    if running is None:
        fact(f"server on {node}", "does not say which it is; the control file is asked instead")
        return
    check(
        f"the server that answers on port {node.port} is the one of the data directory",
        lambda: node.host.holds(
            "test", running.data_directory, "-ef", seen.data.real, user=node.os_user
        ),
        seen=lambda: f"it works in {running.data_directory}, the settings say {seen.data.real}",
        hint="Is this another server on the same port? Correct the inventory.",
    )
    if standby:
        return
    check(
        f"{node} is not a standby of another server",
        lambda: not running.in_recovery,
        seen=lambda: "it is in recovery",
        hint="Restore its primary; a standby is cloned from that.",
    )


def version(node: Node, backup: Backup, seen: Survey) -> None:
    """Insist on the same major version."""
    check(
        f"PostgreSQL on {node} is version {backup.server_version}, as in the backup",
        lambda: seen.program_major == backup.server_version,
        seen=lambda: f"the programs are version {seen.program_major}",
        hint="A physical backup starts only under its own major version.",
    )


def system(node: Node, backup: Backup, seen: Survey, *, other_system: bool) -> None:
    """Insist on the same database system, unless another one is wanted and the plan says so."""
    nothing = "none can be read" if seen.data.version else "none: there is no data"
    fact("system identifier of the backup", backup.system_identifier)
    fact(f"system identifier on {node}", seen.system_identifier or nothing)
    if other_system and seen.system_identifier not in ("", backup.system_identifier):
        fact(
            "ANOTHER SYSTEM",
            f"the data on {node} is replaced by that of a different system; the next base-backup "
            "needs other_system=true, once",
        )
        return
    same = seen.system_identifier in ("", backup.system_identifier)
    check(
        "the backup is one of this very database system",
        lambda: same,
        seen=lambda: f"node {seen.system_identifier}, backup {backup.system_identifier}",
        hint="" if same else _which_system(node, seen),
    )


def _which_system(node: Node, seen: Survey) -> str:
    """Say what to do about another system's data, be it made while the old stood aside."""
    half, data = half_restored(node), seen.targets.data
    if half is not None and half.stamp in kept(node.host, data, node.os_user)["aside"]:
        return (
            f"{data.live} was made anew while its data stood aside as {data.aside(half.stamp)}: "
            "stop what made it, move it away, and start again."
        )
    return "Is this the right cluster? If it must be so, start again with other_system=true."


def tablespaces(node: Node, seen: Survey) -> None:
    """Refuse a directory that another server uses, or may use."""
    for oid, place in seen.targets.tablespaces.items():
        _tablespace(node, seen, oid, place, seen.spaces[oid])


def _tablespace(node: Node, seen: Survey, oid: int, place: Place, there: Look) -> None:
    check(
        f"{place.live} is free for tablespace {oid}, or has been its directory",
        lambda: not there.entries or place.live in seen.own_locations,
        seen=lambda: f"{place.live} holds data that {node} does not link to",
        hint="Map the tablespace to another directory: tablespace_map=OLDDIR=NEWDIR.",
    )
    check(
        f"no other server on {node.host} uses {place.live}",
        lambda: there.real not in seen.other_locations,
        seen=lambda: "a server that runs there links to it",
        hint="Map the tablespace to another directory: tablespace_map=OLDDIR=NEWDIR.",
    )
    check(
        f"{place.live} can be written by {node.os_user}",
        lambda: there.exists and there.owner == node.os_user,
        seen=lambda: f"exists: {there.exists}, owner: {there.owner or 'nobody'}",
        hint=f"Create it: install -d -m 700 -o {node.os_user} {place.live}",
    )
