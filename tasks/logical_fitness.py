"""Before a logical recovery: does the backup fit the cluster, and is everything there for it?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runbook import check, fact, together
from runbook.apps import App
from runbook.logical.recovery.comparison import own_objects, unexpected
from runbook.logical.recovery.databases import ALWAYS
from runbook.logical.recovery.firewall import PortBlock
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.lacking import lacking
from runbook.logical.recovery.mark import aside_name, read_mark
from runbook.logical.recovery.room import clone_short_of, load_short_of
from runbook.logical.recovery.settings import RecoverySettings
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from tasks import lineup, logical_slots
from tasks.logical_choice import known_members
from tasks.read_only import way_to_writes

_PREPARED = "SELECT count(*) AS count FROM pg_catalog.pg_prepared_xacts"
_READ_ONLY = """
SELECT source FROM pg_catalog.pg_settings
WHERE name = 'default_transaction_read_only' AND setting = 'on'
"""
_TEMPLATE = "template1"
_NAMED = 10
_LONGEST_STAMP = "00000000000000"


def fits(
    job: Recovery,
    settings: LogicalBackups,
    apps: Sequence[App],
    *,
    scenario: str,
    remove_old: bool,
) -> None:
    """Insist on all that can be known before the first change."""
    wanted = settings.recovery
    _versions(job)
    _databases(job)
    _needs(job, wanted)
    _writes(job)
    _primary(job, wanted, scenario)
    _members(job)
    works = [partial(_room, job, wanted)]
    works += [partial(lineup.repmgr_works, node) for node in job.lineup.members]
    works += [partial(lineup.app_is_reached, app) for app in apps]
    if not remove_old:
        works += [partial(_clone_room, job, node, wanted) for node in job.lineup.standbys]
    together(works)


def _versions(job: Recovery) -> None:
    mine, contents = job.primary.identity().major, job.contents
    for what, version in (
        ("the server that was dumped", contents.server_version),
        ("the pg_dump that wrote it", contents.client_version),
    ):
        major = _major(version)
        check(
            f"{what} is not newer than {job.primary}",
            lambda major=major: major <= mine,  # type: ignore[misc]
            seen=lambda version=version: f"{version or 'unknown'}, here {mine}",  # type: ignore[misc]
            hint="An older server does not understand all of a newer dump. Upgrade it first.",
        )


def _databases(job: Recovery) -> None:
    asides = [aside_name(name, _LONGEST_STAMP) for name in job.names]
    check(
        "every database can be set aside under a name of its own",
        lambda: len(set(asides)) == len(asides),
        seen=lambda: f"too long, and alike in their beginnings: {', '.join(sorted(job.names))}",
        hint="Rename one of them.",
    )
    own = own_objects(job.primary, _TEMPLATE)
    check(
        f"the backup brings nothing into {_TEMPLATE}, and nobody has made anything in it",
        lambda: _TEMPLATE not in job.names and not own,
        unless=job.is_loaded,
        seen=lambda: (
            "every new database would hold it, and it cannot be set aside"
            + (f": {', '.join(own[:_NAMED])}" if own else "")
        ),
        hint=f"Clear {_TEMPLATE} of {job.primary}; a backup with rows in it is loaded by hand.",
    )


def _needs(job: Recovery, wanted: RecoverySettings) -> None:
    missing = unexpected(lacking(job.primary, job.contents), wanted.expected_errors)
    check(
        f"the extensions, locales and directories of tablespaces that {job} needs are there",
        lambda: not missing,
        unless=job.is_loaded,
        seen=lambda: "; ".join(missing),
        hint=f"Have all of them on {job.primary}: the extension's package; the locale (locale-gen) "
        "and a restart; the directory, owned by the server's user. What is there all the same, "
        "name in logical.recovery.expected_errors. So an extension to do without, as 'extension "
        '"NAME" (is not available|does not exist)\', and in expected_differences as '
        "'extension NAME is missing' and 'EXTENSION NAME'. Without its locale or directory no "
        "database is made.",
    )


def _primary(job: Recovery, wanted: RecoverySettings, scenario: str) -> None:
    node = job.primary
    check(
        f"no transaction on {node} is prepared and not committed",
        lambda: str(node.ask(_PREPARED)[0]["count"]) == "0",
        unless=job.is_loaded,
        hint="A database with one cannot be set aside. See pg_prepared_xacts; commit or roll back.",
    )
    check(
        f"no other slot on {node} would keep the WAL of the load, or a database",
        lambda: not logical_slots.foreign(job),
        unless=job.is_proven,
        seen=lambda: ", ".join(map(str, logical_slots.foreign(job))),
        hint=f"Is it still wanted? Let its owner catch up and drop it, or drop it on {node}: "
        "SELECT pg_drop_replication_slot('NAME'). A consumer of changes begins anew afterwards.",
    )
    if wanted.block_port:
        block = PortBlock(node, job.lineup.cluster.nodes, wanted.block_expires)
        check(
            f"nft can be used on {node.host}",
            block.is_possible,
            hint="Install nftables and let the login become root; or set logical.recovery."
            "block_port to false, and keep clients away by yourself.",
        )
    if scenario == "new-site" and wanted.role_script:
        check(
            f"{wanted.role_script} is on {node.console}, and {node.server_user} may read it",
            lambda: node.console.holds("test", "-r", wanted.role_script, user=node.server_user),
            hint="Correct logical.recovery.role_script in the settings.",
        )


def _writes(job: Recovery) -> None:
    node = job.primary
    read_only = _read_only(node)
    check(
        f"sessions on {node} may write",
        lambda: not read_only,
        unless=job.is_finished,
        seen=lambda: f"default_transaction_read_only is on, set by: {read_only}",
        hint=f"{way_to_writes(node)} The run itself keeps clients out from its step 4 on.",
    )


def _read_only(node: Node) -> str:
    """Tell what sets default_transaction_read_only for our own sessions; empty: it is off."""
    rows = [row for name in (ALWAYS, _TEMPLATE) for row in node.ask(_READ_ONLY, database=name)]
    return ", ".join(dict.fromkeys(str(row["source"]) for row in rows))


def _members(job: Recovery) -> None:
    """Refuse strangers; while a recovery is under way the metadata are those of the backup."""
    mark = read_mark(job.primary)
    if mark is None or mark.finished is not None:
        lineup.no_strangers(job.metadata, known_members(job.lineup))
    for name in job.witnesses:
        told = "repmgr forgets it; register it anew afterwards: repmgr witness register -F"
        fact(f"witness {name}", told, bound=False)


def _room(job: Recovery, wanted: RecoverySettings) -> None:
    short = (
        ""
        if job.is_loaded()
        else load_short_of(job.primary, job.contents, wanted, freed=job.freed())
    )
    check(
        f"{job.primary} has room for the backup beside the databases of before",
        lambda: not short,
        seen=lambda: short,
        hint="Make room there; mend an archiver that fails or is late, or do without it until the "
        "next base backup (archive_mode = off, and restart). logical.recovery.space_factor tells "
        "how large a dump becomes.",
    )


def _clone_room(job: Recovery, node: Node, wanted: RecoverySettings) -> None:
    short = (
        ""
        if job.is_loaded()
        else clone_short_of(node, job.primary, job.contents, wanted, freed=job.freed())
    )
    check(
        f"{node} has room for a clone beside its old data",
        lambda: not short,
        seen=lambda: short,
        hint=f"Make room there; or give its old data up: remove_old=true; or go on without={node}.",
    )


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
