"""The steps of a restore of an Orchestrator, and the proof of it."""

from __future__ import annotations

from runbook import Need, check, ensure, fact, note
from runbook.actions import Work
from runbook.components.properties import properties
from runbook.components.standing import standing
from runbook.orchestrator.restoring import Restoring
from runbook.units import readable_bytes
from tasks._task import task


@task("copy the backup")
def copy(job: Restoring) -> None:
    """See that the archive lies on the new Orchestrator, whole, and unpacked."""
    copied = job.copied
    if copied.others():
        ensure(
            f"no copy of another backup lies on {job.live}",
            holds=lambda: not copied.others(),
            by=copied.clearing_others,
        )
    ensure(
        f"{job.backup.archive} lies on {job.live}, with its SHA-256",
        holds=lambda: not job.needs_files() or copied.is_there(),
        by=copied.copying,
    )
    ensure(
        "its dump and its configuration lie beside it, each with its SHA-256",
        holds=lambda: not job.needs_files() or copied.is_unpacked(),
        by=copied.unpacking,
    )


@task("initialise the cluster configuration")
def initialise(job: Restoring) -> None:
    """See that the program has made what it makes, before a manual backup is loaded."""
    if job.backup.way == "automated":
        note("orchestrator-cli restore does this itself")
        return
    ensure(
        f"{job.live} is initialised with the configuration of the backup",
        holds=lambda: job.has_backup() or bool(job.graph_age()),
        needs=job.retirement.needs(),
        by=job.initialise,
    )


@task("empty the database")
def empty(job: Restoring) -> None:
    """See that nothing is in the database; what was there is kept aside under another name."""
    ensure(
        f"database {job.target.name} on {job.live} is there, and empty",
        holds=lambda: job.target.is_empty() or job.has_backup(),
        needs=job.retirement.needs(),
        by=job.target.emptying,
    )


@task("load the backup")
def load(job: Restoring) -> None:
    """See that the database is that of the backup."""
    ensure(
        f"the database on {job.live} is that of backup {job.backup.id}",
        holds=job.has_backup,
        needs=(
            *job.retirement.needs(),
            Need(
                f"database {job.target.name} on {job.live} is still empty",
                job.target.is_empty,
                hint="Something has written to it since. Stop that, and start again: what is in "
                "it is then set aside.",
            ),
            Need(
                "what is loaded has the SHA-256 of the record",
                lambda: job.copied.is_there() and job.copied.is_unpacked(),
                hint="Something has changed the copy. Start again: it is made anew.",
            ),
        ),
        by=job.load,
    )
    ensure(
        f"{job.target.name} has the rights, settings, limit and comment of the backup's database",
        holds=lambda: job.is_loaded() or not job.target.undressed(),
        by=lambda: [job.target.dressing()],
    )


@task("check the database")
def database_is_right(job: Restoring) -> None:
    """Insist on what psql -l should show, and on all tables and rows; then write that down."""
    target, other = job.target, job.live.settings.archive_database
    wanted = target.to_be_listed()
    check(
        f"{target.name} | {' | '.join(wanted)}",
        lambda: target.listed() == wanted,
        seen=lambda: " | ".join(target.listed()),
        hint="The table of psql -l differs from that of the old Orchestrator.",
    )
    if other:
        _other_is_there(job, other, wanted[1])
    check(
        f"{target.name} has the {job.backup.tables} tables of the backup, and the rows that the "
        "dump tells of",
        lambda: not job.proof.differences(),
        seen=lambda: "; ".join(job.proof.differences()),
        hint="Something has changed it since it was loaded. Start again.",
        unless=job.is_loaded,
    )
    ensure(
        f"{target.name} is marked as that of backup {job.backup.id}",
        holds=job.is_loaded,
        by=lambda: [job.marked.writing(job.backup, "loaded")],
    )


@task("place the configuration")
def configure(job: Restoring) -> None:
    """See that the configuration is the backup's, once the database is proven to be."""
    ensure(
        f"{job.live.settings.config} is that of backup {job.backup.id}, until all is proven",
        holds=lambda: job.is_proven() or job.is_configured(),
        needs=job.retirement.needs(),
        by=job.configure,
    )


@task("rehearse a deploy")
def rehearse(job: Restoring) -> None:
    """See that a dry deploy writes a new graph.png, and that /tmp is refreshed since the boot."""
    before = job.graph_age()
    ensure(
        f"a dry deploy of release {job.release} has written a new graph.png, and refreshed /tmp "
        f"since {job.live} was started",
        holds=lambda: (
            (job.is_proven() and job.marked.is_of_this_boot())
            or job.graph_age() not in {"", before}
        ),
        needs=job.retirement.needs(),
        by=job.rehearse,
    )


@task("log into a node of the cluster")
def log_in(job: Restoring) -> None:
    """See that orchestrator-cli ssh leads into a node."""
    entered: list[str] = []

    def enter() -> str:
        done = job.log_in().perform()
        entered.append(done.said)
        return done.said

    ensure(
        "orchestrator-cli ssh leads into a node of the cluster",
        holds=lambda: job.is_proven() or bool(entered),
        needs=job.retirement.needs(),
        by=lambda: [Work(job.live.node.host.name, str(job.log_in()), enter)],
    )


@task("conclude")
def conclude(job: Restoring) -> None:
    """See that the end is marked and no copy is left; tell what is still to be done."""
    ensure(
        f"the restore of {job.backup.id} on {job.live} is marked as proven, its copies are gone",
        holds=job.is_done,
        by=job.conclude,
    )
    config = job.live.settings.config
    note(
        f"Now run a deploy from {job.live}, so that the Chef agents follow it; then retire the "
        f"machine of {job.old}, and take orchestrator.previous out of the settings."
    )
    _tell_of_kept(job)
    note(
        f"A reboot of {job.live} empties /tmp. After one, start this runbook again, with "
        f"backup={job.backup.id}, or run: "
        f"orchestrator-cli deploy -c {config} --dry --release {job.release}"
    )


def _tell_of_kept(job: Restoring) -> None:
    kept, marks = job.target.kept(), job.marked.all()
    for each in kept:
        fact(f"kept: {each.name}", readable_bytes(each.size), bound=False)
    if kept:
        told = [
            f"{each.name} ({marks[each.name].told if each.name in marks else 'without a mark'})"
            for each in kept
        ]
        note(
            f"Kept from before: {', '.join(told)}. Each may hold people's work: look at size and "
            "mark first, then drop by hand what nobody needs."
        )


def _other_is_there(job: Restoring, name: str, encoding: str) -> None:
    owner = job.live.settings.database_user
    check(
        f"{name} | {owner} | {encoding}",
        lambda: _has(job, name, owner, encoding),
        seen=lambda: f"psql -l lists {', '.join(sorted(standing(job.live.node)))}",
        hint="orchestrator-cli makes it. If this release has none, set "
        'orchestrator.archive_database to "", and start again.',
    )


def _has(job: Restoring, name: str, owner: str, encoding: str) -> bool:
    if name not in standing(job.live.node):
        return False
    seen = properties(job.live.node, name)
    return (seen.owner, seen.encoding) == (owner, encoding)
