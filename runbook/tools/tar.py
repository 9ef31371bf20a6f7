"""tar, as the receiving end of a stream."""

from __future__ import annotations

from runbook.hosts import Command


def extract(directory: str, *, user: str, decompress: str = "") -> Command:
    """Unpack an archive from standard input; `decompress` is a program that takes -d.

    Records of 256 KiB: tar would read and write 10 KiB at a time otherwise.
    Ref.: tar(1)
    """
    through = (f"--use-compress-program={decompress}",) if decompress else ()
    options = ("--preserve-permissions", "--blocking-factor=512", *through)
    argv = ("tar", "--extract", *options, "-f", "-", "-C", directory)
    return Command(argv, user=user)
