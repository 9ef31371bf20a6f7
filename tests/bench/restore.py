"""Restores until the server accepts connections, from archives on the same machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench import commands, page, trail
from tests.bench.bed import Bed
from tests.bench.ours import Ours, made_ready
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, Series, ratios
from tests.bench.variant import Took, Variant
from tests.lab.postgres import PostgresNode

PAGE, BARE = "page: rm, tar -zxvf, start", "zstd -dc | tar -x, start"
OURS, ADOPTED = "ours, zstd", "ours, adopted .tar.gz of the page"
SSH = "ours, zstd, worker elsewhere: through SSH"
VERIFIED = "zstd -dc | tar -x, pg_verifybackup, start"
_UNPACK = 'zstd -dc "$1" | tar -x -C "$2"'


def measure(bed: Bed, rounds: int) -> Part:
    """Measure stop, unpack and start; ours with everything a runbook does until then."""
    node = bed.node
    ours = made_ready(bed, node)
    by_page = adopted(ours)
    ours.run("base-backup", "fast")
    ours.run("base-backup", "ssh")
    by_us = ours.newest("fast") / "base.tar.zst"
    commands.run(("chown", "-R", "postgres", ours.stores))
    variants = [
        by_runbook(ours, OURS, "fast"),
        by_runbook(ours, ADOPTED, "adopted"),
        by_runbook(ours, SSH, "ssh"),
        by_hand(bed, PAGE, "verifies nothing; old data lost", lambda: page.unpack(node, by_page)),
        by_hand(bed, BARE, "verifies nothing; old data lost", lambda: _unzstd(node, by_us)),
        by_hand(bed, VERIFIED, "pg_verifybackup", lambda: _verified(node, by_us)),
    ]
    measured = interleaved(variants, rounds, bed.servers, bed.console)
    series = sorted(measured, key=lambda each: each.name != PAGE)
    return Part(
        "restore",
        "Restore to accepting connections",
        (
            "From the first command to the server accepting connections, its stop included; "
            "rows, indexes and relations counted after each restore.",
            "Ours: plan, checks, lock, every byte verified while it is unpacked, pg_verifybackup "
            "on the disk, the old data kept aside. It unpacks while the server still runs; the "
            "outage is measured apart. Stage ready is the unpacking and verification alone.",
            "A minute passes between whatever removes files and the next variant: ext4 makes files "
            "slowly while it remembers what was removed. By hand, the old data is removed first.",
            "Ours as it is in the store is verified in the stream and again on the disk.",
        ),
        tuple(series),
        _goals({each.name: each for each in series}),
    )


def _goals(by: dict[str, Series]) -> tuple[Goal, ...]:
    def against(other: str, mine: str) -> tuple[float, ...]:
        return ratios(by[other].seconds, by[mine].seconds)

    ready = ratios(by[OURS].stage("ready"), by[BARE].stage("unpack"))
    return (
        Goal("ours, zstd: times as fast as the page's", against(PAGE, OURS), 1.9, "at least"),
        Goal("ours, adopted: times as fast as the page's", against(PAGE, ADOPTED), 1.6, "at least"),
        Goal("ours: times as long as zstd | tar", against(OURS, BARE), 1.1, "at most"),
        Goal("ours, ready alone: times as long as zstd | tar alone", ready, 1.1, "at most"),
    )


def adopted(ours: Ours) -> Path:
    """Take a backup as the page does and adopt it; give its archive."""
    directory = ours.folder("adopted") / "backup_20250101000000"
    archive = page.backup_into(ours.bed, ours.node, directory)
    ours.run("adopt", "adopted", backup=directory.name)
    return archive


def by_hand(
    bed: Bed, name: str, note: str, unpack: Callable[[], None], node: PostgresNode | None = None
) -> Variant:
    """Stop, remove the old data, unpack, start: all by hand."""
    server = node or bed.node

    def run() -> Took:
        with commands.timed() as whole:
            with commands.timed() as stopped:
                page.stop(server)
            with commands.timed() as removed:
                page.empty(server)
            with commands.timed() as unpacked:
                unpack()
            with commands.timed() as started:
                page.start(server)
        stages = {
            "stop": stopped.seconds,
            "rm": removed.seconds,
            "unpack": unpacked.seconds,
            "start": started.seconds,
        }
        return Took(whole.seconds, stages)

    def before() -> None:
        bed.trash.empty()
        bed.trash.forgotten()
        bed.checkpoint(server)

    return Variant(
        name,
        note,
        run,
        before=before,
        prove=lambda: bed.insist_on_rows(server),
        prove_once=False,
        after=bed.trash.freed,
    )


def by_runbook(ours: Ours, name: str, cluster: str) -> Variant:
    """Run instance-restore, approved at once by the settings."""

    def run() -> Took:
        answer = ours.run("instance-restore", cluster)
        ready = trail.before(answer.trail, "pg_ctl stop")
        stopped = trail.action(answer.trail, "pg_ctl stop").seconds
        started = trail.action(answer.trail, "pg_ctl start")
        stages = {
            "ready": ready,
            "stop": stopped,
            "start": started.seconds,
            "whole runbook": answer.seconds,
            "process": answer.process,
        }
        return Took(started.ended - answer.began, stages, answer.memory)

    def before() -> None:
        ours.bed.trash.forgotten()
        ours.bed.checkpoint(ours.node)

    return Variant(
        name,
        "every byte in the stream, pg_verifybackup on the disk; old data kept",
        run,
        before=before,
        prove=lambda: ours.bed.insist_on_rows(ours.node),
        prove_once=False,
        after=lambda: clear(ours),
    )


def clear(ours: Ours) -> None:
    """Take away what our restores have set aside."""
    for aside in ours.node.directory.glob(f"{ours.node.data_directory.name}.*-*"):
        ours.bed.trash.take(aside)


def _unzstd(node: PostgresNode, archive: Path) -> None:
    commands.pipe(_UNPACK, archive, node.data_directory, user="postgres")


def _verified(node: PostgresNode, archive: Path) -> None:
    _unzstd(node, archive)
    commands.run(("cp", archive.with_name("backup_manifest"), node.data_directory), user="postgres")
    verify = (node.bin_directory / "pg_verifybackup", "--quiet", node.data_directory)
    commands.run(verify, user="postgres")
