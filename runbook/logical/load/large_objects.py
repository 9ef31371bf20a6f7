"""The large objects of a dump: whose each is, who may use it, and what it holds.

The digest of an object is the SHA-256 of the SHA-256 of each of its pages, of `PAGE` bytes: so a
server can tell it, too, without its largest object in memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from runbook.logical.load.words import IDENTIFIER, plain

PAGE = 2048
"""Bytes of an object in a row of pg_largeobject, in a server of the usual block size."""

PUBLIC = "PUBLIC"
_NUMBER = rb"'?(\d+)'?"
_CREATE = re.compile(rb"SELECT pg_catalog\.lo_create\(" + _NUMBER + rb"\)")
_OPEN = re.compile(rb"SELECT pg_catalog\.lo_open\(" + _NUMBER)
_WRITE = re.compile(rb"SELECT pg_catalog\.lowrite\(\d+, '\\x([0-9a-f]*)'\);")
_OWNER = re.compile(rb"ALTER LARGE OBJECT (\d+) OWNER TO (" + IDENTIFIER + rb");")
_RIGHTS = re.compile(
    rb"(GRANT|REVOKE) ([A-Z, ]+) ON LARGE OBJECT (\d+) (?:TO|FROM) (" + IDENTIFIER + rb"|PUBLIC)"
    rb"( WITH GRANT OPTION)?;"
)
_SESSION = re.compile(rb"(?:SET SESSION AUTHORIZATION (" + IDENTIFIER + rb")|RESET SESSION)")
_ALL = frozenset({"SELECT", "UPDATE"})


@dataclass(frozen=True)
class LargeObject:
    """A large object; `grants` names each right: who, of whom, what, `*` where it may be given."""

    owner: str
    grants: str
    digest: str


@dataclass
class _Found:
    owner: str = ""
    rights: set[tuple[str, str, str, bool]] | None = None
    size: int = 0
    digest: str = field(default_factory=lambda: sha256().hexdigest())


class LargeObjects:
    """Those of one database, taken from its statements as they come."""

    def __init__(self) -> None:
        self.size = 0
        self._found: dict[int, _Found] = {}
        self._grantor = ""
        self._writing: _Found | None = None
        self._rest = b""
        self._pages = sha256()

    def __len__(self) -> int:
        return len(self._found)

    def value(self, text: bytes) -> None:
        """Take a statement that makes or fills one."""
        if found := _WRITE.match(text):
            self._write(bytes.fromhex(found[1].decode()))
        elif found := _CREATE.match(text):
            self._found[int(found[1])] = _Found()
        elif found := _OPEN.match(text):
            self._end()
            self._writing = self._found.get(int(found[1]))
        elif text == b"COMMIT;":
            self._end()

    def definition(self, text: bytes) -> None:
        """Take a statement that says whose it is, or who may use it."""
        if (found := _OWNER.match(text)) and (mine := self._found.get(int(found[1]))):
            mine.owner = plain(found[2])
        elif (found := _RIGHTS.match(text)) and (mine := self._found.get(int(found[3]))):
            self._right(mine, found)

    def session(self, text: bytes) -> None:
        """Take a statement that says who grants from here on."""
        if found := _SESSION.match(text):
            self._grantor = plain(found[1]) if found[1] else ""

    def all(self) -> Mapping[int, LargeObject]:
        """Give them by number."""
        self._end()
        return {
            number: LargeObject(each.owner, _told(_rights(each)), each.digest)
            for number, each in self._found.items()
        }

    def _right(self, mine: _Found, found: re.Match[bytes]) -> None:
        grantor = self._grantor or mine.owner
        grantee = PUBLIC if found[4] == b"PUBLIC" else plain(found[4])
        rights = mine.rights = _rights(mine)
        words = {word.strip() for word in found[2].decode().split(",")}
        chosen = _ALL if words & {"ALL", "ALL PRIVILEGES"} else words
        rights -= {each for each in rights if each[:2] == (grantee, grantor) and each[2] in chosen}
        if found[1] == b"GRANT":
            rights |= {(grantee, grantor, right, bool(found[5])) for right in chosen}

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        data = self._rest + data
        whole = len(data) - len(data) % PAGE
        for at in range(0, whole, PAGE):
            self._pages.update(sha256(data[at : at + PAGE]).digest())
        self._rest = data[whole:]

    def _end(self) -> None:
        if self._writing is not None:
            if self._rest:
                self._pages.update(sha256(self._rest).digest())
            self._writing.digest = self._pages.hexdigest()
        self._writing, self._rest, self._pages = None, b"", sha256()


def _rights(found: _Found) -> set[tuple[str, str, str, bool]]:
    """Give what was said of rights; where nothing was, the owner has all of them."""
    if found.rights is not None:
        return found.rights
    return {(found.owner, found.owner, right, False) for right in _ALL}


def _told(rights: set[tuple[str, str, str, bool]]) -> str:
    return ", ".join(
        sorted(f"{to} of {by}: {right}{'*' if may else ''}" for to, by, right, may in rights)
    )
