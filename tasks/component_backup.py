"""Dumps of component databases: taken, verified, uploaded, told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from runbook import check, ensure, note, together
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DUMP, DatabaseDump, Occasion, key
from runbook.components.dumping import Dumping
from runbook.components.places import Keeper, Places
from runbook.components.retention import expendable
from runbook.components.uploading import Uploading
from runbook.errors import Interrupted, RunbookError
from runbook.evidence import Kept, KeptFile
from runbook.run import Run, current
from runbook.together import raise_all
from runbook.turns import Turns
from runbook.units import readable_bytes, readable_seconds
from runbook.watch import log
from tasks._task import task


@task("dump every component database")
def dump_all(places: Places, occasion: Occasion) -> list[RunbookError]:
    """See that this run's dump of every database lies, verified, on every server that keeps any.

    The largest begin first, so that the longest of all waits for no other.
    Gives what failed: it keeps no other database from the store, and ends the run at last.
    """
    failed: list[RunbookError] = []
    settings = places.group.settings
    stamp = places.stamp(current().id)
    turns = {keeper.server.node.name: Turns(settings.at_once) for keeper in places.keepers}
    works: list[Callable[[], None]] = []
    sizes = places.group.primary.sizes
    largest_first = sorted(settings.databases, key=lambda name: -sizes[name])
    for number, database in enumerate(largest_first):
        for keeper in places.keepers:
            job = Dumping(
                places.group,
                keeper.server,
                database,
                keeper.catalogue,
                occasion,
                stamp,
                current().id,
            )
            work = partial(_in_turn, turns[keeper.server.node.name], number, partial(_dump, job))
            works.append(partial(_collected, failed, work))
    together(works)
    return failed


@task("upload the dumps to the store")
def upload_all(places: Places, occasion: Occasion) -> list[RunbookError]:
    """See that the dumps of this run lie in the store, and older ones that it lacks.

    Gives what failed.
    """
    failed: list[RunbookError] = []
    if places.vault is None:
        note("no store is set: every server of the group keeps its own dumps")
        return failed
    names = places.group.settings.databases
    jobs = [job for name in names for job in _uploads(places, places.vault, name, occasion)]
    works = [partial(_collected, failed, partial(_upload, job)) for job in jobs]
    together(works, at_once=places.group.settings.at_once)
    return failed


@task("see that every server has its dumps")
def all_kept(places: Places, failed: Sequence[RunbookError]) -> None:
    """Tell what was made; fail with what has failed, or when a server did not answer."""
    run, group = current(), places.group
    if not run.planning:
        made = _made(places)
        for keeper, dump in made:
            _on_record(run, dump)
            run.kept.append(_kept(places, keeper, dump))
        run.watcher.finished(f"dumps of {group.cluster}", _table(made))
    raise_all(failed)
    silent = () if group.settings.store else group.silent
    check(
        f"every server of {group.cluster} has dumped every component database",
        lambda: not silent,
        seen=lambda: f"no answer from {', '.join(map(str, silent))}",
        hint="The dumps of the other servers are whole and verified. Start this server, then "
        "start the runbook again.",
    )


def _in_turn(turns: Turns, number: int, work: Callable[[], None]) -> None:
    """Do a piece of work when the server has a place for it, after those before it."""
    with turns.taken(number):
        work()


def _collected(failed: list[RunbookError], work: Callable[[], None]) -> None:
    """Do a piece of work; keep its error for the end of the run. A plan fails at once."""
    try:
        work()
    except Interrupted:
        raise
    except RunbookError as error:
        if current().planning:
            raise
        log.warning("%s", error.message)
        failed.append(error)


def _uploads(
    places: Places, vault: DumpCatalogue, database: str, occasion: Occasion
) -> list[Uploading]:
    """List what the store lacks: what retention would remove at once is not sent."""
    run, source = current(), places.keepers[0].catalogue
    ours = places.group.primary.identity.system_identifier
    there = vault.sound(database)
    known = {dump.id for dump in there}
    shelf = source.look(database)
    own = shelf.of_run(run.id)
    lacking = [
        dump
        for dump in shelf.sound
        if dump.id not in known and dump.run_id != run.id and dump.system_identifier == ours
    ]
    all_there = [*there, *lacking, *([own] if own and own.id not in known else [])]
    going = expendable(
        [dump for dump in all_there if dump.system_identifier == ours],
        keep=places.group.settings.keep,
        sound={dump.id for dump in all_there},
        coming=occasion if own is None and run.planning else None,
    )
    earlier = [
        Uploading(database, source, vault, run.id, dump) for dump in lacking if dump not in going
    ]
    new = [Uploading(database, source, vault, run.id)] if own or run.planning else []
    return [*new, *earlier]


def _dump(job: Dumping) -> None:
    with job.unfinished_removed():
        ensure(
            f"a verified dump of {job.database} by this run lies on {job.server}",
            holds=lambda: job.catalogue.of_run(job.database, job.run_id) is not None,
            by=job.actions,
        )


def _upload(job: Uploading) -> None:
    what = job.earlier.name if job.earlier else f"the dump of {job.database} by this run"
    ensure(f"{what} lies in the store, and was read back", holds=job.is_there, by=job.actions)


def _made(places: Places) -> list[tuple[Keeper, DatabaseDump]]:
    found = [
        (keeper, keeper.catalogue.of_run(database, current().id))
        for keeper in places.keepers
        for database in places.group.settings.databases
    ]
    return [(keeper, dump) for keeper, dump in found if dump is not None]


def _on_record(run: Run, dump: DatabaseDump) -> None:
    """Write down what a reviewer needs to find and check a dump."""
    run.record(
        "backup",
        role="taken",
        id=dump.name,
        node=dump.node,
        size=dump.database_size,
        stored=dump.size,
        seconds=dump.seconds,
        finished=dump.finished.isoformat(timespec="seconds"),
        verified=dump.verified.isoformat(timespec="seconds"),
        server_version=str(dump.server_major),
        objects=[{"name": _file(dump), "size": dump.size, "sha256": dump.sha256}],
    )


def _kept(places: Places, keeper: Keeper, dump: DatabaseDump) -> Kept:
    vault = places.vault
    away = (str(vault),) if vault and vault.of_run(dump.database, dump.run_id) else ()
    return Kept(
        dump.name,
        (f"{dump.node}:{keeper.directory}", *away),
        (KeptFile(f"{dump.node}:{_file(dump)}", dump.size, dump.sha256),),
        dump.verified,
        dump.finished,
    )


def _table(made: Sequence[tuple[Keeper, DatabaseDump]]) -> str:
    rows = [
        f"| {dump.database} | {dump.node} | `{keeper.directory}/{_file(dump)}` "
        f"| {readable_bytes(dump.size)} | {readable_seconds(dump.seconds)} | `{dump.sha256}` |"
        for keeper, dump in made
    ]
    head = "| database | server | archive | size | took | SHA-256 |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows])


def _file(dump: DatabaseDump) -> str:
    return key(dump.database, dump.id, DUMP)
