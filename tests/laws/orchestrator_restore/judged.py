"""How a restore of an Orchestrator is judged from outside, and what a person says to it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab import orchestrator
from tests.laws.orchestrator_restore_scene import Moving

SAID = {"automated": "", "manual": orchestrator.RELEASE}
"""The release that a person says, where the archive does not tell it."""

SAW = "alice saw it in the rack, 10:00"
BEFORE = "orchestrator_before_"
ROW = "of-one-row-only-0815"
"""What stands in a row of some backups, and nowhere else."""


def whole(scene: Moving, backup: str) -> None:
    """Insist on a restored Orchestrator, with nothing left but what is to be kept."""
    assert orchestrator.fingerprint(scene.node) == scene.kept
    assert scene.is_retired()
    assert scene.config.read_bytes() == scene.before.config.read_bytes()
    assert list(scene.work.iterdir()) == []
    assert scene.is_dressed()
    assert scene.assets.read_text().strip() == orchestrator.RELEASE
    kept = f"{BEFORE}{backup}"
    assert scene.databases() == [orchestrator.DATABASE, orchestrator.ARCHIVE, kept]
    assert scene.node.psql("SELECT count(*) FROM as_delivered", database=kept) == "0"


def refused(scene: Moving, said: str, ended: str = "CheckFailed", **arguments: Any) -> None:
    """Insist that a run is refused before it changes anything."""
    outcome = scene.restore(**arguments)
    assert outcome.ended == ended, outcome.said
    assert said in outcome.said
    assert outcome.commands == []
    assert scene.before.node.is_running()
    assert not scene.work.exists() or not list(scene.work.glob("restore-*"))


@contextmanager
def rewritten(scene: Moving, backup: str, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Let the dump of a manual backup be another one, and the record fit it."""
    archive, files = scene.archive(backup), {}
    content = archive.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as read:
        for info in read:
            taken = read.extractfile(info)
            assert taken is not None
            files[info.name] = taken.read()
    files["orchestrator.sql"] = change(files["orchestrator.sql"])
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as written:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    archive.write_bytes(made.getvalue())
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    members = [{"name": name, "size": len(files[name]), "sha256": sums[name]} for name in files]
    known = {"size": len(made.getvalue()), "sha256": hashlib.sha256(made.getvalue()).hexdigest()}
    try:
        with recorded(scene, backup, members=members, **known):
            yield
    finally:
        archive.write_bytes(content)


@contextmanager
def recorded(scene: Moving, backup: str, **changed: Any) -> Iterator[None]:
    """Let the record of a backup say something else."""
    record = scene.vault / backup / "orchestrator.json"
    kept = record.read_text()
    record.write_text(json.dumps({**json.loads(kept), **changed}))
    try:
        yield
    finally:
        record.write_text(kept)
