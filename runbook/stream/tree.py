"""What an archive may put into a data directory or tablespace, and what it may not."""

from __future__ import annotations

import re
from dataclasses import replace

from runbook.errors import Damaged, Refused
from runbook.stream.paths import inside
from runbook.stream.tar_header import Kind, Member

_TABLESPACE_LINK = re.compile(r"pg_tblspc/[0-9]+")
_SET_ID = 0o6000


class Tree:
    """The members one archive has brought so far."""

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._files: set[str] = set()
        self._directories: set[str] = set()
        self._links: set[str] = set()

    def admit(self, member: Member) -> Member:
        """Return the member with its plain name.

        Raises `Refused` for one that is unsafe to unpack, `Damaged` for one that comes twice.
        """
        name = inside(member.name, where=f"archive {self._archive}")
        safe = replace(member, name=name)
        if not name and member.kind is not Kind.DIRECTORY:
            raise self._refused(safe, "It has the name of the directory itself.")
        self._check_kind(safe)
        self._check_parents(safe)
        self._check_repeat(safe)
        return safe

    def _refused(self, member: Member, detail: str) -> Refused:
        return Refused(
            f"archive {self._archive} holds a {member.kind} that must not be unpacked: "
            f'"{member.name}"',
            detail=detail,
            hint="PostgreSQL writes no such member. Find out who made this archive.",
        )

    def _check_kind(self, member: Member) -> None:
        if member.kind is Kind.SYMLINK:
            if not _TABLESPACE_LINK.fullmatch(member.name) or not _plain(member.target):
                raise self._refused(
                    member, f'It points to "{member.target}"; only pg_tblspc/<oid> may be a link.'
                )
        elif member.kind not in {Kind.FILE, Kind.DIRECTORY}:
            raise self._refused(member, "Only files, directories and tablespace links may be.")
        if member.kind is not Kind.FILE and member.size:
            raise self._refused(member, f"It carries {member.size} bytes of data.")
        if member.kind is Kind.FILE and member.mode & _SET_ID:
            raise self._refused(member, f"Its mode {member.mode:o} would run as its owner.")

    def _check_parents(self, member: Member) -> None:
        parent = member.name.rpartition("/")[0]
        while parent and (self._links or self._files):
            if parent in self._links or parent in self._files:
                raise self._refused(member, f'It would be written through "{parent}".')
            parent = parent.rpartition("/")[0]

    def _check_repeat(self, member: Member) -> None:
        name = member.name
        directory = member.kind is Kind.DIRECTORY
        repeated = name in self._files or name in self._links
        if repeated or (name in self._directories and not directory):
            raise Damaged(
                f'archive {self._archive} holds "{name}" twice',
                hint="The later one would overwrite the earlier. Use another backup.",
            )
        if directory:
            self._directories.add(name)
        elif member.kind is Kind.SYMLINK:
            self._links.add(name)
        else:
            self._files.add(name)


def _plain(target: str) -> bool:
    return (
        target.startswith("/")
        and ".." not in target.split("/")
        and not any(ord(char) < 32 for char in target)
    )
