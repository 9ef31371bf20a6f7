"""What a logical recovery is measured with: a backup as the page makes it, and a new server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bench import commands, scale
from tests.bench.bed import Bed
from tests.bench.scale import FULL, SMALL, Scale
from tests.lab.postgres import PostgresNode

GUID = "2f1c9c3e-0000-4000-8000-000000000001"
SECRET = "bench-backup-key"
DECRYPT = """cat $(ls -1v "$1"-*) |
  openssl enc -aes256 -md md5 -d -pass "pass:$KEY" 2>/dev/null | gunzip -c"""
"""The page's command over what the names of the parts begin with; the password in KEY."""
_LITTLE = Scale("logical-mixed", 6, 80_000, 3_000, 160, "128MB")
_DATABASES = ("app", "bench", "many")
_DUMP = """"$1" -h "$2" | gzip |
  openssl enc -aes256 -md md5 -pass "pass:$KEY" 2>/dev/null | split -a 1 -d -b 64M - "$3-" """
_DIRECTORIES = """
for each in app bench many; do "$1" -F d -j 2 -Z 1 -h "$2" -f "$3/$each" "$each"; done"""


@dataclass(frozen=True)
class Case:
    """One input and the server that it is loaded into.

    `parts` is a folder with the page's parts; `directories` one with a dump of each database that
    pg_restore can read with several processes.
    """

    name: str
    bed: Bed
    source: PostgresNode
    target: PostgresNode
    parts: Path
    directories: Path
    counts: str

    @property
    def backup(self) -> Path:
        """Give what the names of the parts begin with."""
        return self.parts / f"{GUID}-1740130000000"

    def reset(self) -> None:
        """Make the target as new."""
        for database in _DATABASES:
            self.target.psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.target.psql("CHECKPOINT")

    def prove(self) -> None:
        """Insist on the same rows, indexes and relations as in the source."""
        if scale.counts(self.target) != self.counts:
            raise AssertionError(f"{scale.counts(self.target)} instead of {self.counts}")


def mixed(bed: Bed) -> Case:
    """Give the case with a bit of everything, as large as was asked for."""
    return made(bed, "mixed", _LITTLE if bed.scale is SMALL else FULL)


@cache
def made(bed: Bed, name: str, wanted: Scale) -> Case:
    """Make source, dumps and target, once."""
    source = bed.node_of(wanted)
    settings = {
        "fsync": "on",
        "autovacuum": "off",
        "log_statement": "none",
        "log_connections": "off",
        "shared_buffers": wanted.shared_buffers,
        "max_wal_size": "1GB",
    }
    target = bed.lab.postgres(f"{wanted.name}-into", authentication="trust", settings=settings)
    parts, directories = bed.folder(f"{name}-parts"), bed.folder(f"{name}-directories")
    case = Case(name, bed, source, target, parts, directories, scale.counts(source))
    _dumped(case, "pg_dumpall", _DUMP, case.backup)
    _dumped(case, "pg_dump", _DIRECTORIES, directories)
    case.backup.with_name(f"{case.backup.name}.json").write_text("{}")
    return case


def _dumped(case: Case, program: str, script: str, into: Path) -> None:
    node = case.source
    words = (node.bin_directory / program, node.socket_directory, into)
    commands.pipe(script, *words, user="postgres", env={"KEY": SECRET})
