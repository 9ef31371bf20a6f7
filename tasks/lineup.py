"""Before a cluster goes back: which node becomes what, and whether every one of them fits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial

from runbook import check, fact, note, together
from runbook.apps import App
from runbook.backups.catalogue import Catalogue
from runbook.cluster import Cluster
from runbook.errors import CommandFailed, SettingsError, Unreachable
from runbook.plan import RESTORED_ALREADY, Fact
from runbook.postgres import Node
from runbook.replication import limits
from runbook.replication.clone_places import Source
from runbook.replication.clone_room import cloned, shortage
from runbook.replication.lineup import Found, Lineup, line_up, look_around
from runbook.replication.members import Member, members, repmgr_of, repmgr_program
from runbook.replication.metadata import Metadata, metadata
from runbook.restore.job import Restore
from runbook.restore.survey import Survey, survey
from runbook.restore.whole import ClusterRestore
from runbook.run import current
from tasks import fitness
from tasks._task import task
from tasks.restore_fitness import Wishes, tell_settled


@task("choose the primary of {cluster}")
def choose(cluster: Cluster, primary: str, without: str) -> Lineup:
    """Look at every node and give it its part; nothing is guessed."""
    for node in cluster.nodes:
        repmgr_of(node)
    left_out = tuple(name.strip() for name in without.split(",") if name.strip())
    found = look_around(cluster)
    for seen in found:
        fact(f"node {seen.node}", seen)
    for seen in found:
        if seen.node.name not in left_out:
            _is_reached(seen)
    lineup = line_up(cluster, found, primary, left_out)
    fact("primary", f"{lineup.primary}: {lineup.why}")
    _tell_standbys(lineup)
    return lineup


@task("check that the nodes, their repmgr and the applications fit")
def fits(
    lineup: Lineup, apps: Sequence[App], job: Restore, catalogue: Catalogue, wishes: Wishes
) -> ClusterRestore:
    """Insist on all that can be known of the other nodes before the first change."""
    known = _living_members(lineup)
    whole = ClusterRestore(lineup, metadata(lineup, known), job)
    if not job.in_place():
        _are_known(lineup, known)
    if not job.in_place() or job.closed():  # in between, the metadata are those of the backup
        no_strangers(whole.metadata, known)
    _tell_settled(whole)
    _tell_loss(whole)
    works = [partial(repmgr_works, node) for node in lineup.members]
    works += [partial(app_is_reached, app) for app in apps]
    works += [
        partial(_standby_fits, whole, there, wishes.other_system)
        for there in _there(whole, cloned(job.backup, catalogue))
    ]
    together(works)
    return whole


def _is_reached(seen: Found) -> None:
    node = seen.node
    check(
        f"the host of {node} answers",
        lambda: not seen.unreachable,
        seen=lambda: seen.unreachable,
        hint=f"Bring it back; or go on without={node}, and see that it does not come back as a "
        "primary by itself. standby-rebuild makes it a standby again later.",
    )


def _tell_standbys(lineup: Lineup) -> None:
    clones = ", ".join(map(str, lineup.standbys)) or "none"
    fact("cloned anew from it", clones)
    for node in lineup.left_out:
        fate = "stopped and held" if node in lineup.stopped else "not reached: keep it off"
        fact(f"LEFT OUT: {node}", f"{fate}; standby-rebuild makes it a standby again")


def _tell_settled(whole: ClusterRestore) -> None:
    """Say before all else what is not restored: everything, or the primary alone."""
    since = whole.primary.settled()
    if since is None:
        return
    if whole.is_done():
        tell_settled(whole.primary)
        return
    told = (
        f"{whole.lineup.primary}, since {since:%Y-%m-%d %H:%M:%S} UTC: what was written or lost "
        "since stays; only nodes that are no sound standby of it are set aside and made anew. To "
        "restore all of them once more: again (--again at the command line)"
    )
    current().builder.lead(Fact(name=RESTORED_ALREADY, value=told))


def _tell_loss(whole: ClusterRestore) -> None:
    backup = whole.primary.backup
    fact(
        "written after the backup",
        f"LOST on every node, whatever a standby holds alone: all since "
        f"{backup.finished:%Y-%m-%d %H:%M:%S} UTC, WAL after {backup.stop_lsn}",
    )
    if backup.node != whole.lineup.primary.name:
        note(
            f"the backup was taken from {backup.node}: settings files that lie in its data "
            f"directory come along to {whole.lineup.primary}"
        )


def _living_members(lineup: Lineup) -> tuple[Member, ...]:
    """Read the metadata of the first server that answers, the primary's if it does."""
    answering = {seen.node.name for seen in lineup.found if seen.state is not None}
    for node in lineup.stopped:
        if node.name in answering:
            try:
                return members(node)
            except (Unreachable, CommandFailed):
                continue
    return ()


def _are_known(lineup: Lineup, known: tuple[Member, ...]) -> None:
    ours = {node.name for node in lineup.cluster.nodes}
    unknown = sorted(set(lineup.without) - ours - {member.name for member in known})
    if unknown:
        raise SettingsError(
            f"without names no node: {', '.join(unknown)}",
            detail=f"the settings have {', '.join(sorted(ours))}; "
            f"repmgr knows {', '.join(member.name for member in known) or 'nothing now'}",
            hint="Name nodes, separated by commas.",
        )


def no_strangers(wanted: Metadata, known: tuple[Member, ...]) -> None:
    """Refuse an active member that only repmgr knows: it would go on with data that is gone."""
    strange = [member for member in wanted.strangers(known) if member.active]
    told = ", ".join(f"{row.name} (id {row.node_id}) at {row.address}" for row in strange)
    check(
        "the settings name every node that repmgr knows",
        lambda: not strange,
        seen=lambda: f"only repmgr knows {told}",
        hint="Add it to the inventory, or it would go on with data that is gone. If it no longer "
        f"exists: without={','.join(row.name for row in strange)}.",
    )


def repmgr_works(node: Node) -> None:
    """Insist that the node has the repmgr that its settings name."""
    program = repmgr_program(node)
    check(
        f"repmgr is there on {node}",
        lambda: node.host.holds(program, "--version", user=node.os_user),
        seen=lambda: f"{program} --version fails",
        hint=f"Install repmgr, or set repmgr.program of node {node}.",
    )


@dataclass(frozen=True)
class _There:
    """What was found on a standby: nothing is asked where it is a clone already."""

    node: Node
    seen: Survey | None
    short_of: str


def _there(whole: ClusterRestore, taken: Source) -> tuple[_There, ...]:
    """Look at all standbys at once."""

    def look(node: Node) -> _There:
        if whole.is_cloned(node):
            return _There(node, None, "")
        seen = survey(node, whole.primary.backup, None, "")
        return _There(node, seen, shortage(node, taken))

    with ThreadPoolExecutor(max_workers=max(1, len(whole.standbys))) as pool:
        works = [pool.submit(copy_context().run, look, node) for node in whole.standbys]
        return tuple(work.result() for work in works)


def _standby_fits(whole: ClusterRestore, there: _There, other_system: bool) -> None:
    node, seen, backup = there.node, there.seen, whole.primary.backup
    if seen is None:
        note(f"{node} is already a clone of the restored {whole.lineup.primary}")
        return
    fitness.directory(node, seen)
    fitness.server(node, seen, standby=True)
    fitness.version(node, backup, seen)
    fitness.system(node, backup, seen, other_system=other_system)
    check(
        f"{node} has room for a clone beside its old data",
        lambda: not there.short_of,
        seen=lambda: there.short_of,
        hint=f"Make room there; or go on without={node}, and clone it later: standby-rebuild.",
    )
    _tell_limits(whole.lineup, node)


def _tell_limits(lineup: Lineup, node: Node) -> None:
    """Warn of a standby that would not come up; the restored primary may have other settings."""
    primary = lineup.primary
    if not any(seen.node.name == primary.name and seen.state for seen in lineup.found):
        return
    try:
        small = limits.of_a_clone(node, primary, node.directory(), "")
    except (CommandFailed, Unreachable) as error:
        note(f"whether {node}'s own limits are below {primary}'s is not known: {error.message}")
        return
    if small.names:
        told = f"{', '.join(small.names)}, as {small.file} says and {primary} has now"
        fact(f"TOO SMALL: {node}", f"{told}; raise it there, or step 11 ends there", bound=False)


def app_is_reached(app: App) -> None:
    """Insist that the application's host answers, whether it runs or not."""
    check(f"{app} can be asked", lambda: app.is_running() in (True, False))
