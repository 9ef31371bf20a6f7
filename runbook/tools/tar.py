"""tar, as the receiving end of a stream."""

from __future__ import annotations

from runbook.hosts import Command


def extract(directory: str, *, user: str, decompress: str = "") -> Command:
    """Unpack an archive from standard input; `decompress` is a program that takes -d.

    Ref.: tar(1)
    """
    through = (f"--use-compress-program={decompress}",) if decompress else ()
    argv = ("tar", "--extract", "--preserve-permissions", *through, "-f", "-", "-C", directory)
    return Command(argv, user=user)
