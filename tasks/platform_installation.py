"""Installation files: read where they are used, and compared with version control."""

from __future__ import annotations

import base64
from typing import Literal

from runbook import check, fact, note
from runbook.hosts import Command
from runbook.platform.documents import Comparison, Documents
from runbook.platform.places import Installation
from runbook.platform.versions import Version
from runbook.run import current
from tasks import platform_versions
from tasks._task import task

_SECONDS = 120


@task("find the installation files and the place of their versions")
def find(installation: Installation) -> None:
    """Insist that every file is there and can be read."""
    files = installation.files
    fact("files", f"{', '.join(files.files)} on {files.host}")
    platform_versions.find(installation.place)
    missing = [
        path for path in files.files if not files.host.holds("test", "-r", path, user=files.user)
    ]
    check(
        f"every installation file can be read on {files.host}",
        lambda: not missing,
        seen=lambda: f"missing, or not for {files.user or files.host.way.login}: {missing}",
        hint="Nothing was kept. Correct exports.installation, or bring the files back.",
    )


@task("read every installation file, and compare it with version control")
def read(installation: Installation, drift: Literal["keep", "refuse"]) -> Documents:
    """Give the files; with `refuse`, insist that version control has them as they are."""
    documents = _read(installation)
    empty = [name for name, text in documents.items() if not text.strip()]
    check(
        "no installation file is empty",
        lambda: not empty,
        seen=lambda: ", ".join(empty),
        hint="Nothing was kept. Is the disk full? Bring back the newest version.",
    )
    installation.place.fits(documents)
    newest = platform_versions.newest(installation.place)
    found = Comparison(documents, newest.ours(documents))
    differs = bool(found.new or found.different or found.others)
    said = platform_versions.summary(found)
    note(f"what is used, against version control: {said}")
    check(
        "what is used is what is in version control, or drift may be kept",
        lambda: drift == "keep" or not differs,
        seen=lambda: said,
        hint="Somebody has changed files on the machine only, or has not brought them there. "
        "Compare, then start again with drift: keep.",
    )
    return documents


@task("read once more and compare")
def confirm(installation: Installation, documents: Documents) -> None:
    """Insist that the files are still what the newest version has; tell it for the record."""
    check(
        "a second reading is the newest version, byte by byte",
        lambda: platform_versions.has(installation.place, _read(installation)),
        hint="Somebody edits the files at this moment. Start again.",
    )
    if not current().planning:
        kept = Version(installation.place.version("latest").id, documents)
        platform_versions.tell(installation.place, kept, "installation", "kept")


def _read(installation: Installation) -> dict[str, bytes]:
    files, documents = installation.files, {}
    for path in files.files:
        command = Command(("base64", "--", path), user=files.user, timeout=_SECONDS)
        text = "".join(files.host.run(command).stdout.split())
        documents[path.rpartition("/")[2]] = base64.b64decode(text, validate=True)
    return documents
