"""Signatures over the index of runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runbook.audit.anchor import anchor, anchor_findings
from runbook.audit.index import RunsIndex
from runbook.audit.verification import verified
from runbook.errors import CommandFailed, Refused
from tests.unit.audit.scene import History


def key_of(folder: Path, name: str) -> Path:
    path = folder / name
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path))
    subprocess.run(argv, check=True, timeout=30)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_of(tmp_path, "auditor")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    path = tmp_path / "allowed_signers"
    public = key.with_suffix(".pub").read_text()
    path.write_text(f'auditor@bank namespaces="pg-runbooks-audit" {public}')
    return path


def test_the_newest_anchored_point_is_told_with_its_signer(
    history: History, key: Path, signers: Path
) -> None:
    history.run("first")
    anchor(history.audit, key)
    history.run("second")
    anchor(history.audit, key)
    history.run("third")
    findings, newest = anchor_findings(history.audit, signers)
    assert findings == []
    assert newest.startswith("entries up to 4, 20")
    assert newest.endswith("signed by auditor@bank")
    assert verified(history.audit).findings == ()


def test_without_the_allowed_signers_the_key_is_named_and_not_trusted(
    history: History, key: Path
) -> None:
    history.run("first")
    anchor(history.audit, key)
    findings, newest = anchor_findings(history.audit, None)
    assert findings == []
    assert "key SHA256:" in newest
    assert "not checked" in newest


def test_the_signature_of_somebody_else_is_found(
    history: History, tmp_path: Path, signers: Path
) -> None:
    history.run("first")
    anchor(history.audit, key_of(tmp_path, "stranger"))
    (found,), newest = anchor_findings(history.audit, signers)
    assert "none of the allowed signers" in found.what
    assert newest == "never"


def test_a_history_written_anew_does_not_fit_its_anchor(
    history: History, tmp_path: Path, key: Path, signers: Path
) -> None:
    """Whoever can write every file can make a whole chain; not the signature over it."""
    history.run("first")
    path = anchor(history.audit, key)
    forged = History(tmp_path / "forged")
    forged.run("first", reason="another")
    index = RunsIndex(forged.audit)
    kept = index.folder / "anchors"
    kept.mkdir()
    for each in (path, path.with_name(f"{path.name}.sig")):
        (kept / each.name).write_bytes(each.read_bytes())
    assert verified(forged.audit).findings == ()
    (found,), _ = anchor_findings(forged.audit, signers)
    assert "not those that were signed" in found.what


def test_a_changed_anchor_and_a_lost_one_are_found(
    history: History, key: Path, signers: Path
) -> None:
    history.run("first")
    path = anchor(history.audit, key)
    whole = path.read_text()
    path.write_text(whole.replace("host: ", "host: x"))
    said = "\n".join(found.what for found in anchor_findings(history.audit, signers)[0])
    assert "is not the one that was made here" in said
    assert "none of the allowed signers" in said
    path.unlink()
    (found,), newest = anchor_findings(history.audit, signers)
    assert "is missing, which was made here" in found.what
    assert newest == "never"


def test_a_key_that_is_none_leaves_nothing(history: History, tmp_path: Path) -> None:
    history.run("first")
    (tmp_path / "no-key").write_text("hello")
    with pytest.raises(CommandFailed, match="could not sign"):
        anchor(history.audit, tmp_path / "no-key")
    assert list((RunsIndex(history.audit).folder / "anchors").iterdir()) == []
    with pytest.raises(Refused, match="nothing to sign"):
        anchor(tmp_path / "empty", tmp_path / "no-key")
