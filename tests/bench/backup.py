"""Base backups to a disk of the same machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.bench import commands, page
from tests.bench.barman import Barman
from tests.bench.bed import Bed
from tests.bench.ours import Ours, made_ready
from tests.bench.pgbackrest import PgBackRest
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, Series, ratios
from tests.bench.variant import Took, Variant

PAGE, BARE = "page: pg_basebackup -F tar -z -X fetch", "bare pg_basebackup, zstd by the server"
OURS, GZIP, FORMAT = "ours", "ours, the page's .gz files", "ours, format: page"
SSH = "ours, worker elsewhere: through SSH"
BARMAN, REST = "Barman, zstd by the server", "pgBackRest, zst, 2 processes"
ZSTD = "--compress=server-zstd:level=1,workers={workers}"


def measure(bed: Bed, rounds: int) -> Part:
    """Measure all ways to a backup on disk, output written down before time stops."""
    ours = made_ready(bed, bed.node)
    barman, rest = Barman(bed, bed.root / "barman"), PgBackRest(bed, bed.root / "pgbackrest")
    variants = [
        _bare(bed, PAGE, "verifies nothing (pg_basebackup writes a manifest)"),
        _bare(bed, BARE, "verifies nothing", ZSTD.format(workers=bed.workers)),
        _ours(ours, OURS, "fast", "every byte as stored against manifest, tar, WAL; catalogue"),
        _ours(ours, GZIP, "gzip", "the same; restorable by the page's tar -zxvf"),
        _ours(ours, FORMAT, "page", "the page's command, then every byte read back and verified"),
        _ours(ours, SSH, "ssh", "as ours; SSH encrypts on the same CPUs"),
        _barman(barman),
        _pgbackrest(rest),
    ]
    with barman.receiving():
        series = interleaved(variants, rounds, bed.servers, bed.console)
    return Part(
        "backup",
        "Base backup to disk",
        (
            "Every pg_basebackup got -c fast, so that the copy alone is compared: without it the "
            "page waits for a spread checkpoint, for minutes on a busy server.",
            "A CHECKPOINT before and syncfs of the output within every variant's time.",
            "Ours is timed around the whole runbook (plan, checks, lock, copy, verification, "
            "catalogue); stage process adds the start of Python and its imports.",
            f"Barman {barman.version()}, {rest.version()}.",
        ),
        tuple(series),
        _goals({each.name: each for each in series}),
    )


def _goals(by: dict[str, Series]) -> tuple[Goal, ...]:
    def against(other: str, mine: str = OURS) -> tuple[float, ...]:
        return ratios(by[other].seconds, by[mine].seconds)

    slower = ratios(by[OURS].seconds, by[BARE].seconds)
    return (
        Goal("ours: times as fast as the page's", against(PAGE), 12, "at least"),
        Goal("ours, .gz files: times as fast as the page's", against(PAGE, GZIP), 7, "at least"),
        Goal("ours: times as fast as Barman", against(BARMAN), 1, "at least"),
        Goal("ours: times as fast as pgBackRest", against(REST), 1.5, "at least"),
        Goal("ours: times as long as bare pg_basebackup", slower, 1.2, "at most"),
    )


def _bare(bed: Bed, name: str, note: str, *form: str) -> Variant:
    directory = bed.root / "bare"

    def run() -> Took:
        with commands.timed() as clock:
            commands.run(page.base_backup(bed.node, directory, *form), user="postgres")
            commands.synced(directory)
        return Took(clock.seconds, output=commands.bytes_in(directory))

    def before() -> None:
        commands.folder(directory)
        bed.checkpoint(bed.node)

    return Variant(
        name,
        note,
        run,
        before=before,
        prove=lambda: page.prove(bed.node, directory),
        after=partial(commands.emptied, directory),
    )


def _ours(ours: Ours, name: str, cluster: str, note: str) -> Variant:
    folder = ours.folder(cluster)

    def run() -> Took:
        answer = ours.run("base-backup", cluster, synced=str(folder.parent))
        stages = {"process": answer.process}
        return Took(answer.seconds, stages, answer.memory, commands.bytes_in(folder))

    return Variant(
        name,
        note,
        run,
        before=lambda: ours.bed.checkpoint(ours.node),
        prove=lambda: page.prove(ours.node, _readable(ours.newest(cluster))),
        after=partial(commands.emptied, folder),
    )


def _readable(directory: Path) -> Path:
    """Let postgres read what the worker has stored."""
    commands.run(("chown", "-R", "postgres", directory.parent))
    return directory


def _barman(barman: Barman) -> Variant:
    def run() -> Took:
        with commands.timed() as clock:
            barman.backup()
            commands.synced(barman.folder)
        return Took(clock.seconds, output=commands.bytes_in(barman.made))

    note = "verifies nothing; own catalogue, fsync of its files"
    return Variant(
        BARMAN,
        note,
        run,
        before=lambda: barman.bed.checkpoint(barman.bed.node),
        after=barman.remove,
    )


def _pgbackrest(rest: PgBackRest) -> Variant:
    def run() -> Took:
        with commands.timed() as clock:
            rest.backup()
            commands.synced(rest.folder)
        return Took(clock.seconds, output=commands.bytes_in(rest.folder / "repo"))

    def before() -> None:
        rest.fresh()
        rest.bed.checkpoint(rest.bed.node)

    note = "every page's checksum, SHA-1 of every file; fsync; bundles"
    return Variant(REST, note, run, before=before)
