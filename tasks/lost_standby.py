"""Which standby is to be cloned again, and whether that can be done; before the first change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, Refused
from runbook.postgres import Node
from runbook.replication.clone import Clone
from runbook.replication.clone_places import seen, short_of
from runbook.replication.cloning import OWN_FILES
from runbook.replication.divergence import divergence
from runbook.replication.following import following
from runbook.replication.members import repmgr_of
from runbook.replication.survey import Survey, survey
from runbook.units import readable_bytes
from tasks import clones
from tasks._task import task

_FREE = """
SELECT current_setting('max_wal_senders')::int -
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender')::int
       AS senders,
       current_setting('max_replication_slots')::int -
       (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS slots
"""

_CONFIGURATION = """
SELECT current_setting('config_file') AS file, current_setting('data_directory') AS directory
"""


@dataclass(frozen=True)
class Wishes:
    """What the person who rebuilds may choose."""

    again: bool = False
    remove_old: bool = False
    fast_checkpoint: bool = True


@task("find the primary and look at the standby")
def inspect(cluster: Cluster, name: str, wishes: Wishes) -> Clone:
    """Find primary and standby, and insist on everything that can be known before a change."""
    for node in cluster.nodes:
        repmgr_of(node)
    if name:
        cluster.node(name)
    found = survey(cluster)
    primary = found.only_writer().located()
    node = cluster.node(name) if name else _unsound(cluster, primary)
    if node.name == primary.name:
        raise Refused(
            f"{node} is the primary: it accepts writes",
            detail=found.told,
            hint="Only a standby can be cloned again. To make another node primary: promotion.",
        )
    job = clones.to_clone(
        node,
        primary,
        again=wishes.again,
        remove_old=wishes.remove_old,
        fast_checkpoint=wishes.fast_checkpoint,
    )
    problem = job.following.problem()
    _tell(job, found, problem)
    if problem or (wishes.again and not job.in_place()):
        can_be_cloned(job, made_ready=job.is_made_ready())
        _tell_old_data(job, found.state(primary).system_identifier)
    return job


def can_be_cloned(job: Clone, *, made_ready: bool = False) -> None:
    """Insist that there is room, and that the primary can serve a clone."""
    _same_place(job)
    _tablespaces(job)
    _own_configuration(job, made_ready=made_ready)
    clones.comes_up(job)
    if made_ready:
        return
    _room(job)
    _free_senders(job)


def _unsound(cluster: Cluster, primary: Node) -> Node:
    others = [node for node in cluster.nodes if node.name != primary.name]
    problems = {node.name: following(node, primary).problem() for node in others}
    lost = [node for node in others if problems[node.name]]
    if len(lost) > 1 or not others:
        raise CheckFailed(
            f"{len(lost)} standbys of {cluster} are not sound: name one",
            detail="\n".join(problem for problem in problems.values() if problem),
            hint="Rebuild them one after the other; or all of them at once with cluster-restore.",
        )
    return lost[0] if lost else others[0]


def _tell(job: Clone, found: Survey, problem: str) -> None:
    fact("primary", f"{job.primary}, {found.state(job.primary).system_identifier}")
    fact("standby", f"{job.node} on {job.node.host} ({job.node.host.way})")
    fact("data directory", job.live)
    why = problem.splitlines()[0] if problem else f"none: {job.node} is a sound standby"
    fact("why", why, bound=False)
    if not problem and not job.again:
        note(f"{job.node} is a sound standby of {job.primary}; again=true clones it all the same")


def _tell_old_data(job: Clone, theirs: str) -> None:
    control = job.node.readable_controldata()
    if control is None:
        fact("old data", "none that can be read")
        return
    where = "REMOVED for good" if job.remove_old else "kept aside until discard-aside removes it"
    fact("old data", f"timeline {control.timeline}, {control.state}; {where}", bound=False)
    if control.system_identifier != theirs:
        other = f"ANOTHER database system, {control.system_identifier}: none of it is in {theirs}"
        fact("only the old data hold", other)
        return
    alone = divergence(job.node, job.primary, control)
    fact("only the old data hold", alone.told, bound=alone.diverged)


def _same_place(job: Clone) -> None:
    mine, node = job.following.mine, job.node
    paths = (mine.data_directory, node.directory())
    real = node.host.read("readlink", "-m", *paths, user=node.os_user).split("\n")
    check(
        f"repmgr.conf of {node} names the data directory of the settings",
        lambda: real[0] == real[1],
        seen=lambda: f"{mine.path}: {mine.data_directory}; settings: {node.directory()}",
        hint="Correct the one that is wrong.",
    )


def _tablespaces(job: Clone) -> None:
    if job.node.host != job.primary.host:
        return
    here: Mapping[str, str] = job.following.mine.mapping
    shared = [space.location for space in job.taken.tablespaces if space.location not in here]
    check(
        f"the tablespaces of {job.node} are not those of {job.primary} on the same host",
        lambda: not shared,
        seen=lambda: f"not mapped: {', '.join(shared)}",
        hint=f"Add tablespace_mapping = 'OLD=NEW' to {job.following.mine.path}.",
    )


def _own_configuration(job: Clone, *, made_ready: bool) -> None:
    """See that the clone will not come up with the primary's port.

    A server whose configuration lies outside of its data directory keeps it in any case. Where its
    data had to be removed, its own files are saved beside it; a clone that is made ready has them.
    """
    node, primary = job.node, job.primary
    files = [f"{own}/postgresql.conf" for own in (job.saved, job.own_files or job.live)]
    if any(node.host.holds("test", "-e", file, user=node.os_user) for file in files):
        fact("configuration", f"{node}'s own files are kept: {', '.join(OWN_FILES)}, conf.d")
        return
    if made_ready:
        return
    row = primary.ask(_CONFIGURATION)[0]
    comes_along = str(row["file"]).startswith(f"{row['directory']}/")
    check(
        f"{node} has a configuration that fits it",
        lambda: not comes_along or node.port == primary.port,
        seen=lambda: f"it has none, and {primary}'s would come with the clone, port {primary.port}",
        hint=f"Put {node}'s own postgresql.conf and pg_hba.conf into {job.live} first.",
    )
    if comes_along:
        fact("configuration", f"{node} has none of its own: {primary}'s comes with the clone")


def _room(job: Clone) -> None:
    taken = job.taken
    lacking = short_of(job.node, taken, job.places, without_old=job.remove_old)
    fact("to be cloned", readable_bytes(taken.total), bound=False)
    there = seen(job.node)
    fact("free space there", readable_bytes(there.free), bound=False)
    if lacking and not job.remove_old:
        raise Refused(
            f"there is no room on {job.node} beside the old data, which would have to be removed",
            detail=lacking,
            hint="Make room, or start again with remove_old=true: then the old data is gone.",
        )
    check(
        f"there is room for the clone on {job.node}",
        lambda: not lacking,
        seen=lambda: lacking,
        hint="Make room.",
    )
    check(
        f"{job.live} belongs to {job.node.os_user}",
        lambda: there.owner in ("", job.node.os_user),
        seen=lambda: f"it belongs to {there.owner}",
        hint="Correct os_user of the node, or the owner.",
    )


def _free_senders(job: Clone) -> None:
    row = job.primary.ask(_FREE)[0]
    senders, slots = int(str(row["senders"])), int(str(row["slots"]))
    mine = job.following.slot()
    senders += 1 if mine is not None and mine.active else 0
    check(
        f"{job.primary} has two walsenders free, which a clone needs",
        lambda: senders >= 2,
        seen=lambda: f"{senders} of max_wal_senders are free",
        hint="End a backup or an old connection there, or raise max_wal_senders.",
    )
    check(
        f"{job.primary} has a replication slot for {job.node}",
        lambda: mine is not None or not job.following.mine.uses_slots or slots > 0,
        seen=lambda: "all of max_replication_slots are taken",
        hint="Drop what is left over: SELECT * FROM pg_replication_slots.",
    )
