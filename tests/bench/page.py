"""The page's own commands, as a person types them."""

from __future__ import annotations

from pathlib import Path

from tests.bench import commands
from tests.bench.bed import Bed
from tests.lab.postgres import PostgresNode


def base_backup(node: PostgresNode, directory: Path, *more: str) -> tuple[str | Path, ...]:
    """Give the page's pg_basebackup, or another one by `more`.

    `-c fast` is added everywhere: what is compared is the copy, not a spread checkpoint's wait.
    Ref.: PostgreSQL documentation, pg_basebackup
    """
    login = ("-h", node.host.address, "-p", str(node.port), "-U", "postgres")
    form = more or ("-z",)
    program = node.bin_directory / "pg_basebackup"
    return (program, *login, "-F", "tar", *form, "-X", "fetch", "-c", "fast", "-D", directory)


def stop(node: PostgresNode) -> None:
    """Stop the server."""
    commands.run(_pg_ctl(node, "stop", "-m", "fast"), user="postgres")


def start(node: PostgresNode) -> None:
    """Start the server and wait until it accepts connections."""
    log = node.directory / "log" / "start.log"
    commands.run(_pg_ctl(node, "start", "-l", log), user="postgres")


def empty(node: PostgresNode) -> None:
    """Remove the old data: rm -rf of everything in the data directory."""
    argv = ("find", node.data_directory, "-mindepth", "1", "-delete")
    commands.run(argv, user="postgres")


def unpack(node: PostgresNode, archive: Path) -> None:
    """Unpack the page's archive: tar -zxvf in the data directory."""
    commands.run(("tar", "-zxvf", archive, "-C", node.data_directory), user="postgres")


def backup_into(bed: Bed, node: PostgresNode, directory: Path) -> Path:
    """Take the page's backup into a folder made for it; give its base archive."""
    commands.folder(directory)
    bed.checkpoint(node)
    commands.run(base_backup(node, directory), user="postgres")
    return directory / "base.tar.gz"


def prove(node: PostgresNode, directory: Path) -> None:
    """Unpack base.tar.* and let pg_verifybackup judge it."""
    (archive,) = directory.glob("base.tar.*")
    trial = commands.folder(directory.parent / f"{directory.name}.trial")
    form = ("-I", "zstd") if archive.suffix == ".zst" else ("-z",)
    commands.run(("tar", *form, "-xf", archive, "-C", trial), user="postgres")
    commands.run(("cp", directory / "backup_manifest", trial), user="postgres")
    commands.run((node.bin_directory / "pg_verifybackup", trial), user="postgres")
    commands.emptied(trial)


def _pg_ctl(node: PostgresNode, *words: str | Path) -> tuple[str | Path, ...]:
    program = node.bin_directory / "pg_ctl"
    return (program, "-D", node.data_directory, "-w", "-t", "600", *words)
