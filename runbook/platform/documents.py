"""Documents under version control: policy that is whole, and what two sets have in common."""

from __future__ import annotations

import difflib
import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.errors import Damaged
from runbook.platform.confidential import MASK, secret_lines

ENDING = ".pol"
Documents = Mapping[str, bytes]
"""Contents by document name, without the ending where all have the same."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_QUIET = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|#[^\n]*|/\*.*?\*/', re.DOTALL)


def named(path: str, ending: str) -> str:
    """Give the document of a file; Damaged when it cannot be one."""
    name = path.removeprefix("./").removesuffix(ending)
    if not path.endswith(ending) or not _NAME.fullmatch(name):
        raise Damaged(
            f"{path!r} is no document", hint=f"It should be <name>{ending} and nothing else."
        )
    return name


def whole(name: str, content: bytes) -> None:
    """Damaged unless a document is text that ends where its rules end."""
    seen = _flaw(content)
    if seen:
        raise Damaged(
            f"policy document {name} is not whole",
            detail=f"{len(content)} bytes; {seen}",
            hint="Nothing was kept. Is the client's disk full? Start the runbook again.",
        )


def _flaw(content: bytes) -> str:
    if not content.strip():
        return "it is empty"
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return f"it is no text: {error.reason} at byte {error.start}"
    depth = 0
    for mark in re.findall(r"[{}\0]", _QUIET.sub("", text)):
        depth += {"{": 1, "}": -1}.get(mark, -1000)
        if depth < 0:
            return "a brace closes that none has opened" if mark == "}" else "it has a zero byte"
    return f"{depth} braces are not closed" if depth else ""


def packed(documents: Documents, ending: str) -> bytes:
    """Give a tar of the documents, the same for the same ones."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in sorted(documents.items()):
            member = tarfile.TarInfo(f"{name}{ending}")
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def unpacked(archive: bytes, ending: str) -> dict[str, bytes]:
    """Give the documents of a tar; files and folders that can be none are left alone."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [
            (member.name.removesuffix(ending), tar.extractfile(member))
            for member in tar
            if member.isfile() and member.name.endswith(ending)
        ]
        return {n: file.read() for n, file in files if file is not None and _NAME.fullmatch(n)}


def digest(content: bytes) -> str:
    """Give its SHA-256."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Comparison:
    """Documents that shall be in the cluster, and what it says now."""

    wanted: Documents
    there: Documents

    @property
    def new(self) -> tuple[str, ...]:
        """Name those that the cluster lacks."""
        return tuple(sorted(set(self.wanted) - set(self.there)))

    @property
    def same(self) -> tuple[str, ...]:
        """Name those that it has as they are."""
        return tuple(sorted(n for n, text in self.wanted.items() if self.there.get(n) == text))

    @property
    def different(self) -> tuple[str, ...]:
        """Name those that it has with another text."""
        return tuple(sorted(set(self.wanted) - set(self.new) - set(self.same)))

    @property
    def others(self) -> tuple[str, ...]:
        """Name those that only the cluster has."""
        return tuple(sorted(set(self.there) - set(self.wanted)))

    def changes(self, name: str) -> str:
        """Give the lines that an import takes away and adds; what looks like a secret is hidden."""
        old, new = (side[name].decode() for side in (self.there, self.wanted))
        hidden = secret_lines(old) | secret_lines(new)
        lines = difflib.unified_diff(
            old.split("\n"), new.split("\n"), "cluster", "import", lineterm="", n=1
        )
        return "\n".join(
            line[0] + MASK if line[1:].removesuffix("\r") in hidden else line for line in lines
        )
