"""Base backups straight to an S3 server, beside stage and upload."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from tests.bench import commands, page, transfer
from tests.bench.backup import ZSTD
from tests.bench.bed import Bed
from tests.bench.ours import Ours, made_ready
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, ratios
from tests.bench.variant import Took, Variant
from tests.lab import s3 as servers
from tests.lab.s3 import S3Server

PAGE, OURS, RCAT = "page, then boto3 upload_file", "ours", "the same stream | rclone rcat"
_RCAT = "{backup} | {rclone} rcat --s3-no-check-bucket bench:{bucket}/peer/base.tar.zst"


def measure(bed: Bed, rounds: int) -> Part:
    """Measure all ways into a bucket of `rclone serve s3`, which shares the machine."""
    with servers.rclone() as server, bed.serving(server.pid):
        ours = made_ready(bed, bed.node, server)
        variants = [_staged(bed, server), _ours(ours, server), _piped(bed, server)]
        series = interleaved(variants, rounds, bed.servers, bed.console)
    staged, mine, piped = series
    memory = max(sample.memory for sample in mine.samples) / 2**20
    return Part(
        "s3",
        "Base backup to S3",
        (
            "The server is rclone serve s3 on the same CPUs and the same disk, over loopback.",
            "rclone rcat gets the stream of bare pg_basebackup, zstd by the server; a manifest "
            "is not possible there (--no-manifest), so nothing of it can be verified later.",
        ),
        tuple(series),
        (
            Goal(
                "ours: times as fast as page and upload",
                ratios(staged.seconds, mine.seconds),
                9,
                "at least",
            ),
            Goal(
                "ours: times as fast as rclone rcat",
                ratios(piped.seconds, mine.seconds),
                1,
                "at least",
            ),
            Goal("ours: memory of the worker", (memory,), 300, "at most", "MiB"),
        ),
    )


def _staged(bed: Bed, server: S3Server) -> Variant:
    directory = bed.root / "staged"
    env = transfer.environment(server)

    def before() -> None:
        commands.folder(directory)
        bed.checkpoint(bed.node)

    def run() -> Took:
        argv = page.base_backup(bed.node, directory)
        files = ("base.tar.gz", "backup_manifest")
        with commands.timed() as whole:
            with commands.timed() as copy:
                commands.run(argv, user="postgres")
            names = [str(directory / name) for name in files]
            commands.run((sys.executable, transfer.__file__, "upload", "page", *names), env=env)
            commands.synced(_objects(server))
        stages = {"pg_basebackup": copy.seconds, "upload": whole.seconds - copy.seconds}
        return Took(whole.seconds, stages, output=commands.bytes_in(_objects(server)))

    note = "verifies nothing; staged on the disk"
    return Variant(PAGE, note, run, before=before, after=lambda: _emptied(server))


def _ours(ours: Ours, server: S3Server) -> Variant:
    def run() -> Took:
        answer = ours.run("base-backup", "s3", synced=str(_objects(server)))
        output = commands.bytes_in(_objects(server))
        return Took(answer.seconds, {"process": answer.process}, answer.memory, output)

    def prove() -> None:
        (found,) = (_objects(server) / "s3").glob("backup_*[0-9]")
        copy = commands.folder(ours.bed.root / "from-s3")
        shutil.copytree(found, copy, dirs_exist_ok=True)
        page.prove(ours.node, copy)
        commands.emptied(copy)

    return Variant(
        OURS,
        "every byte against manifest, tar, WAL; catalogue; nothing staged",
        run,
        before=lambda: ours.bed.checkpoint(ours.node),
        prove=prove,
        after=lambda: _emptied(server),
    )


def _piped(bed: Bed, server: S3Server) -> Variant:
    env = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
        "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": server.key_id,
        "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": server.secret,
    }
    form = (ZSTD.format(workers=bed.workers), "--no-manifest")
    line = page.base_backup(bed.node, Path("-"), *form)
    script = _RCAT.format(
        backup=shlex.join(map(str, line)),
        rclone=Path(sys.executable).parent / "rclone",
        bucket=server.bucket,
    )

    def run() -> Took:
        with commands.timed() as clock:
            commands.pipe(script, user="postgres", env=env)
            commands.synced(_objects(server))
        return Took(clock.seconds, output=commands.bytes_in(_objects(server)))

    return Variant(
        RCAT,
        "verifies nothing; no manifest",
        run,
        before=lambda: bed.checkpoint(bed.node),
        after=lambda: _emptied(server),
    )


def _objects(server: S3Server) -> Path:
    assert server.directory is not None
    return server.directory


def _emptied(server: S3Server) -> None:
    """Remove all objects, as a client: the server remembers its directories for minutes."""
    commands.run((sys.executable, transfer.__file__, "remove"), env=transfer.environment(server))
