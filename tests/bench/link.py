"""Recovery from a logical backup whose store lies behind a link of 100 MB/s."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import commands, logical, logical_case, transfer
from tests.bench.bed import Bed
from tests.bench.logical_case import Case
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, ratios
from tests.bench.variant import Took, Variant
from tests.lab import s3
from tests.lab.s3 import S3Server
from tests.lab.shaped_link import shaped_link

_MEGABYTES = 100
_AT_LEAST = 2.0


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from the parts in a bucket, as the page's commands write them."""
    case = logical_case.mixed(bed)
    with shaped_link(_MEGABYTES) as link, s3.rclone(link) as server, bed.serving(server.pid):
        _filled(case, server)
        variants = [
            _variant(case, logical.PAGE, lambda: logical.by_page(case, _download(server))),
            _variant(case, logical.OURS, lambda: logical.ours(case, server)),
        ]
        page, ours = interleaved(
            variants, rounds, lambda: logical.servers(bed, [case]), bed.console
        )
    measured = ratios(page.seconds, ours.seconds)
    return Part(
        "link",
        f"Recovery from a logical backup behind a link of {_MEGABYTES} MB/s",
        (
            "The store is rclone serve s3 in a network of its own, behind tc's token bucket; the "
            "page's copy to the node still costs next to nothing, being one on the same machine.",
            "Ours reads the parts over the link twice: to verify all of it, and to load it.",
        ),
        (page, ours),
        (Goal("times as fast as the page's", measured, _AT_LEAST, "at least"),),
    )


def _variant(case: Case, name: str, run: Callable[[], Took]) -> Variant:
    note = "all of it before the first statement; rows" if name == logical.OURS else "gzip's sum"
    return Variant(name, note, run, before=case.reset, prove=case.prove, prove_once=False)


def _filled(case: Case, server: S3Server) -> None:
    assert server.directory is not None
    for part in case.parts.iterdir():
        shutil.copy(part, server.directory)


def _download(server: S3Server) -> logical.Download:
    def download(case: Case, folder: Path) -> None:
        argv = (sys.executable, transfer.__file__, "download", f"{case.backup.name}-", folder)
        commands.run(argv, env=transfer.environment(server))

    return download
