"""A backup compared with its manifest, file by file, while it streams.

Does what pg_verifybackup does to a directory, to the archives themselves; nothing is unpacked.
Ref.: https://www.postgresql.org/docs/current/app-pgverifybackup.html
"""

from __future__ import annotations

import re

from runbook.errors import Damaged, Refused
from runbook.stream import facts
from runbook.stream.checksums import checksum
from runbook.stream.facts import BackupFacts, BackupLabel
from runbook.stream.manifest import NAME as MANIFEST
from runbook.stream.manifest import Manifest, ManifestFile
from runbook.stream.tar_header import Kind, Member
from runbook.stream.wal import HEADER_BYTES, WalFiles

IGNORED = frozenset({"postgresql.auto.conf", "standby.signal", "recovery.signal", MANIFEST})
_ARCHIVE = re.compile(r"(base|pg_wal|[1-9][0-9]*)\.tar(\.[a-z0-9]+)?")
_WAL = "pg_wal/"
_KEPT = {
    facts.BACKUP_LABEL: 64 << 10,
    facts.TABLESPACE_MAP: 4 << 20,
    facts.PG_VERSION: 64,
    facts.PG_CONTROL: facts.IDENTIFIER_BYTES,
}
_SHOWN = 20


class BackupCheck:
    """The check of one whole backup.

    Read every archive's members into `archive(name)`, one archive after another, in any order;
    then call `finish`. With the manifest given first, a damaged or extra file raises `Damaged`
    at once. Without it (a backup being taken), `algorithm` says which checksums the manifest
    will have, and `finish` compares.
    """

    def __init__(self, manifest: Manifest | None = None, *, algorithm: str = "CRC32C") -> None:
        self._manifest = manifest
        self._algorithm = algorithm
        self._found: dict[str, ManifestFile] = {}
        self._kept: dict[str, bytes] = {}
        self._links: dict[int, str] = {}
        self._archives: set[str] = set()
        self._wal = WalFiles()

    def archive(self, name: str) -> ArchiveCheck:
        """Begin archive `name`, such as "base.tar.zst" or "16384.tar"."""
        match = _ARCHIVE.fullmatch(name)
        if match is None or match[1] in self._archives:
            raise Refused(
                f'"{name}" is not an archive of a backup, or comes twice',
                hint="A backup is base.tar, one <oid>.tar per tablespace, and maybe pg_wal.tar.",
            )
        self._archives.add(match[1])
        prefix = {"base": "", "pg_wal": _WAL}.get(match[1], f"pg_tblspc/{match[1]}/")
        return ArchiveCheck(self, prefix)

    def algorithm(self, path: str, size: int) -> str:
        """Say which checksum the file at `path` needs.

        Raises `Damaged` for a file that is extra, or whose header already tells a wrong size.
        """
        if path in self._found:
            raise broken([f'"{path}" is in two archives'])
        if is_ignored(path):
            return "NONE"
        if self._manifest is None:
            return self._algorithm
        said = self._manifest.files.get(path)
        if said is None:
            raise broken([f'"{path}" is in the backup but not in the manifest'])
        if said.size != size:
            raise broken([difference(path, said, ManifestFile(size, said.algorithm, ""))])
        return said.algorithm

    def link(self, path: str, target: str) -> None:
        """Take note of a tablespace link."""
        self._links[int(path.rpartition("/")[2])] = target

    def file(self, path: str, found: ManifestFile, head: bytes) -> None:
        """Take note of a file that is complete; raises `Damaged` if the manifest differs."""
        self._found[path] = found
        if path.startswith(_WAL):
            self._wal.add(path.removeprefix(_WAL), found.size, head)
        elif head:
            self._kept[path] = head
        if self._manifest is not None and not is_ignored(path):
            problem = difference(path, self._manifest.files[path], found)
            if problem:
                raise broken([problem])

    def finish(
        self, manifest: Manifest | None = None, *, self_contained: bool = True
    ) -> BackupFacts:
        """Compare all that was found with the manifest and tell the backup's facts.

        Raises `Damaged` naming every missing, extra or different file. With
        `self_contained=False` the WAL may be elsewhere.
        """
        said = self._manifest or manifest
        if said is None:
            raise broken(["it has no backup_manifest"])
        problems = compare(said, self._found) + self._tablespace_problems()
        missing = [
            path for path in (facts.PG_CONTROL, facts.BACKUP_LABEL) if path not in self._kept
        ]
        problems += [f'"{path}" is missing' for path in missing if path not in said.files]
        if missing or problems:
            raise broken(problems)
        wal = self._wal.problems(said.wal_ranges, self._identifier)
        if said.system_identifier not in {None, self._identifier}:
            problems.append(
                f"global/pg_control has system identifier {self._identifier}, "
                f"the manifest {said.system_identifier}"
            )
        if problems or (wal and self_contained):
            raise broken(problems + wal)
        return self._facts(said, self_contained=not wal)

    @property
    def _identifier(self) -> int:
        return int.from_bytes(self._kept[facts.PG_CONTROL], "little")

    @property
    def _tablespaces(self) -> dict[int, str]:
        return self._links | facts.parse_tablespace_map(self._kept.get(facts.TABLESPACE_MAP, b""))

    def _tablespace_problems(self) -> list[str]:
        mapped = {str(oid) for oid in self._tablespaces}
        archived = self._archives - {"base", "pg_wal"}
        return [f"tablespace {oid} has no archive" for oid in sorted(mapped - archived)] + [
            f"archive {oid}.tar belongs to no tablespace" for oid in sorted(archived - mapped)
        ]

    def _facts(self, manifest: Manifest, *, self_contained: bool) -> BackupFacts:
        label = BackupLabel.parse(self._kept[facts.BACKUP_LABEL])
        return BackupFacts(
            system_identifier=self._identifier,
            major_version=self._kept.get(facts.PG_VERSION, b"").decode().strip(),
            label=label,
            tablespaces=self._tablespaces,
            files=len(self._found),
            size=sum(file.size for file in self._found.values()),
            wal_segment_size=self._wal.segment_size,
            self_contained=self_contained and not label.incremental,
            manifest_checksum=manifest.checksum,
        )


class ArchiveCheck:
    """Visits the members of one archive for a `BackupCheck`."""

    def __init__(self, backup: BackupCheck, prefix: str) -> None:
        self._backup = backup
        self._prefix = prefix
        self._path = ""
        self._keep = 0

    def member(self, member: Member) -> None:
        """Begin a member."""
        self._path = ""
        path = self._prefix + member.name
        if member.kind is Kind.SYMLINK:
            self._backup.link(path, member.target)
        if member.kind is not Kind.FILE:
            return
        self._path = path
        self._algorithm = self._backup.algorithm(path, member.size)
        self._checksum = checksum(self._algorithm)
        self._size = 0
        self._keep = HEADER_BYTES if path.startswith(_WAL) else _KEPT.get(path, 0)
        self._head = b""

    def data(self, data: bytes) -> None:
        """Take a piece of the member's bytes."""
        self._size += len(data)
        self._checksum.update(data)
        if self._keep > len(self._head):
            self._head += data[: self._keep - len(self._head)]

    def end(self) -> None:
        """End the member."""
        if self._path:
            found = ManifestFile(self._size, self._algorithm, self._checksum.hexdigest())
            self._backup.file(self._path, found, self._head)


def is_ignored(path: str) -> bool:
    """Whether pg_verifybackup, too, leaves this file out."""
    return path in IGNORED or path.startswith(_WAL)


def compare(manifest: Manifest, found: dict[str, ManifestFile]) -> list[str]:
    """List every file that is missing, extra or different."""
    said = {path: file for path, file in manifest.files.items() if not is_ignored(path)}
    problems = [f'"{path}" is missing' for path in said if path not in found]
    for path, file in found.items():
        if path in said:
            problem = difference(path, said[path], file)
            if problem:
                problems.append(problem)
        elif not is_ignored(path):
            problems.append(f'"{path}" is in the backup but not in the manifest')
    return problems


def difference(path: str, said: ManifestFile, found: ManifestFile) -> str:
    """Say how a file differs from the manifest, or nothing."""
    if found.size != said.size:
        return f'"{path}" has {found.size} bytes, the manifest says {said.size}'
    if said.algorithm == "NONE":
        return ""
    if found.algorithm != said.algorithm:
        return f'"{path}" was checked with {found.algorithm}, the manifest has {said.algorithm}'
    if found.checksum != said.checksum:
        return f'"{path}" has {said.algorithm} {found.checksum}, the manifest says {said.checksum}'
    return ""


def broken(problems: list[str]) -> Damaged:
    """Say that a backup is not what its manifest says."""
    more = len(problems) - _SHOWN
    lines = problems[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])
    return Damaged(
        "the backup is not what its manifest says",
        detail="; ".join(lines),
        hint="Do not restore it. Use another backup, and find out how this one was changed.",
    )
