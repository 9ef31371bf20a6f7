"""Where versions of documents are kept: a git repository, or a store."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Protocol

from runbook.errors import CheckFailed, Damaged, ObjectMissing, Refused
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.confidential import refuse
from runbook.platform.documents import Documents, digest, packed, unpacked
from runbook.platform.export import ExportedFile
from runbook.platform.settings import Repository
from runbook.tools import git

_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Version:
    """Documents as they were once; without an id, nothing was ever kept.

    `foreign` are those that a person has written last: nothing here replaces or removes them.
    """

    id: str
    documents: Documents
    foreign: frozenset[str] = frozenset()

    def ours(self, wanted: Documents) -> Documents:
        """Give what is compared with documents: all but what only people keep beside them."""
        kept = self.documents.items()
        return {name: text for name, text in kept if name in wanted or name not in self.foreign}

    def drift(self, wanted: Documents) -> tuple[str, ...]:
        """Name documents that a person has edited last, and that are not what they should be."""
        differs = {name for name, text in wanted.items() if self.documents.get(name) != text}
        return tuple(sorted(differs & self.foreign))


class VersionedPlace(Protocol):
    """A place with versions."""

    @property
    def ending(self) -> str:
        """Give what follows the name of a document in the name of its file."""

    def version(self, name: str) -> Version:
        """Give a version by its id, or the latest; CheckFailed when there is none of that id."""

    def shown(self, text: str) -> str:
        """Give the line that a person would type to keep a new version."""

    def fits(self, documents: Documents) -> None:
        """Refused when these documents have no business there."""

    def keep(self, documents: Documents, text: str, run_id: str) -> str:
        """Keep a new version; tell what was done."""

    def prune(self, keep: int, *, coming: bool) -> tuple[str, ...]:
        """Name the versions that a rule no longer keeps, one that is still `coming` counted."""

    def leftovers(self) -> tuple[str, ...]:
        """Name what runs have begun and not finished."""

    def remove(self, version: str) -> str:
        """Remove one of these."""


@dataclass(frozen=True)
class InRepository:
    """A folder of a git repository; every version is a commit."""

    repository: Repository
    folder: str
    ending: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.folder}"

    def version(self, name: str) -> Version:
        """Read the folder as it is in a commit."""
        if name != "latest" and not _VERSION.fullmatch(name):
            raise CheckFailed(f"{name!r} cannot be a version in {self}", hint="Name a commit.")
        where = self.repository
        command = git.read(
            where.url,
            where.branch,
            self.folder,
            "HEAD" if name == "latest" else name,
            user=where.user,
        )
        commit, *lines = where.host.run(command).stdout.splitlines() or [""]
        edited = [line[2:] for line in lines if line.startswith("- ")]
        text = "".join(line for line in lines if not line.startswith("- "))
        foreign = (path.removesuffix(self.ending) for path in edited if path.endswith(self.ending))
        try:
            archive = base64.b64decode(text, validate=True)
            documents = unpacked(archive, self.ending) if archive else {}
            return Version(commit, documents, frozenset(foreign))
        except (binascii.Error, OSError, ValueError) as error:
            raise Damaged(f"{self} cannot be read", detail=str(error)) from error

    def shown(self, text: str) -> str:
        """Give the commit and the push."""
        where = self.repository
        return git.committing(where.url, where.branch, self.folder, text)

    def fits(self, documents: Documents) -> None:
        """Refuse secrets, for history forgets nothing, and to take back what a person has done."""
        refuse({f"{name}{self.ending}": text for name, text in documents.items()}, str(self))
        self._accept(self.version("latest"), documents)

    def keep(self, documents: Documents, text: str, run_id: str) -> str:
        """Commit and push."""
        where, latest = self.repository, self.version("latest")
        refuse({f"{name}{self.ending}": content for name, content in documents.items()}, str(self))
        self._accept(latest, documents)
        change = git.Change(
            archive=packed(documents, self.ending),
            gone=tuple(f"{n}{self.ending}" for n in latest.ours(documents) if n not in documents),
            expected=latest.id,
            text=f"{text}\n\nRun: {run_id}",
        )
        where.host.run(git.commit(where.url, where.branch, self.folder, change, user=where.user))
        return f"pushed to {self}"

    def _accept(self, latest: Version, documents: Documents) -> None:
        if drift := latest.drift(documents):
            raise Refused(
                f"{self} has edits that nothing here may take back",
                detail=f"edited last by a person, and not what is used: {', '.join(drift)}",
                hint="If the repository is right, bring it to where it is used (policy: "
                "policy-import with replace). If not, remove these files there (git rm, push): the "
                "next run puts them in again, and the edit stays in the history.",
            )

    def prune(self, keep: int, *, coming: bool) -> tuple[str, ...]:  # noqa: ARG002
        """Every commit remains."""
        return ()

    def leftovers(self) -> tuple[str, ...]:
        """A commit is pushed whole or not at all."""
        return ()

    def remove(self, version: str) -> str:
        """No commit is ever removed."""
        raise AssertionError(f"nothing removes {version} from {self}")


@dataclass(frozen=True)
class InStore:
    """Exports in a store."""

    catalogue: ExportCatalogue
    ending: str

    def __str__(self) -> str:
        return str(self.catalogue)

    def version(self, name: str) -> Version:
        """Read an export whole; Damaged unless every document is what the record says."""
        if name == "latest" and not self.catalogue.ids():
            return Version("", {})
        export = self.catalogue.get(name)
        return Version(export.id, {file.name: self._read(export.id, file) for file in export.files})

    def shown(self, text: str) -> str:
        """Give where it goes."""
        return f"write every document to {self}/<YYYYmmddHHMMSS>/, then export.json: {text}"

    def fits(self, documents: Documents) -> None:
        """Any document may lie there: a store is for people who may see dumps, too."""

    def keep(self, documents: Documents, text: str, run_id: str) -> str:  # noqa: ARG002
        """Write every document, read it back, and the record last."""
        stamp = self.catalogue.begin(run_id)
        files = [
            ExportedFile(
                file=f"{name}{self.ending}", name=name, size=len(content), sha256=digest(content)
            )
            for name, content in sorted(documents.items())
        ]
        for file in files:
            self.catalogue.store.put(self.catalogue.key(stamp, file.file), documents[file.name])
            self._read(stamp, file)
        self.catalogue.enter(stamp, files, run_id)
        return f"kept as {stamp} in {self}"

    def prune(self, keep: int, *, coming: bool) -> tuple[str, ...]:
        """Name all but the newest."""
        return self.catalogue.expendable(keep, coming=coming)

    def leftovers(self) -> tuple[str, ...]:
        """Name what has no record."""
        return self.catalogue.leftovers()

    def remove(self, version: str) -> str:
        """Remove an export."""
        self.catalogue.remove(version)
        return f"removed {version}"

    def _read(self, stamp: str, file: ExportedFile) -> bytes:
        try:
            content = self.catalogue.store.get(self.catalogue.key(stamp, file.file))
        except ObjectMissing:
            content = b""
        if (len(content), digest(content)) != (file.size, file.sha256):
            raise Damaged(
                f"{file.file} of export {stamp} in {self} is not what its record says",
                detail=f"{len(content)} bytes with SHA-256 {digest(content)}",
                hint="Its disk is damaged. Name an older version, or export anew.",
            )
        return content
