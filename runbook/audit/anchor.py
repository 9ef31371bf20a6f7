"""Anchors: somebody's signature over the index of runs as it was at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from socket import gethostname

from runbook.audit.chain import Finding, decoded
from runbook.audit.chain_file import whole_digest
from runbook.audit.index import Head, RunsIndex
from runbook.errors import CommandFailed, Refused, SettingsError
from runbook.ssh_signatures import keygen, sign, signature_of

NAMESPACE = "pg-runbooks-audit"
FOLDER = "anchors"
_FORM = """pg-runbooks audit anchor
host: {host}
at: {at}
entries: {entries}
bytes: {bytes}
sha256: {sha256}
last: {last}
"""


@dataclass(frozen=True)
class Anchored:
    """What was signed: the first so many entries and bytes of the index, and their SHA-256."""

    path: Path
    at: str
    entries: int
    size: int
    sha256: str


def anchor(audit: Path, key: Path) -> Path:
    """Sign the index as it stands with an SSH key, and enter that in the index.

    A public key lets ssh-keygen ask the agent for its private half.
    """
    index = RunsIndex(audit)
    index.settle()
    head = index.head()
    if head is None or head.lines < 1:
        raise Refused("there is nothing to sign", hint="No run was recorded on this machine yet.")
    path = index.folder / FOLDER / f"{head.lines:08d}.txt"
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.write_text(_text(index, head))
    _sign(path, key)
    digests = {
        "sha256_of_anchor": whole_digest(path.read_bytes()),
        "sha256_of_signature": whole_digest(signature_of(path).read_bytes()),
    }
    index.enter("anchored", {"anchor": path.name, **digests, "entries": head.lines})
    return path


def _text(index: RunsIndex, head: Head) -> str:
    """Say what is signed."""
    with index.path.open("rb") as file:
        content = file.read(head.size)
    return _FORM.format(
        host=gethostname(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        entries=head.lines,
        bytes=head.size,
        sha256=whole_digest(content),
        last=head.last,
    )


def _sign(path: Path, key: Path) -> None:
    """Put the signature beside; without one, nothing stays."""
    try:
        sign(path, key, NAMESPACE)
    except CommandFailed:
        path.unlink()
        raise


def anchor_findings(audit: Path, signers: Path | None) -> tuple[list[Finding], str]:
    """Verify every anchor; also tell the newest one that holds. `signers`: who may sign."""
    if signers is not None and not signers.is_file():
        raise SettingsError(f"there is no file of allowed signers {signers}")
    index = RunsIndex(audit)
    anchors = sorted(_anchors(index), key=lambda each: each.size)
    digests = _prefixes(index.path, [each.size for each in anchors])
    findings, newest = list(_lost(index)), "never"
    for each in anchors:
        wrong, who = _judged(each, digests, signers)
        if wrong:
            findings.append(Finding("broken", 0, wrong, str(each.path)))
        else:
            newest = f"entries up to {each.entries - 1}, {each.at}, {who}"
    return findings, newest


def _judged(each: Anchored, digests: Mapping[int, str], signers: Path | None) -> tuple[str, str]:
    """Say what is wrong with an anchor, or who signed it."""
    if digests.get(each.size) != each.sha256:
        return f"the first {each.entries} entries of the index are not those that were signed", ""
    signature = signature_of(each.path)
    if not signature.exists():
        return "its signature is missing", ""
    with each.path.open("rb") as signed:
        if signers is None:
            words = ("-n", NAMESPACE, "-s", str(signature))
            done = keygen("check-novalidate", *words, stdin=signed.read().decode(errors="replace"))
            key = done.stdout.strip().rpartition(" ")[2]
            return ("its signature is false" if done.returncode else ""), f"key {key}, not checked"
        found = keygen("find-principals", "-s", str(signature), "-f", str(signers))
        person = found.stdout.strip().splitlines()[0] if found.stdout.strip() else ""
        allowed = ("-f", str(signers), "-I", person, "-n", NAMESPACE, "-s", str(signature))
        done = keygen("verify", *allowed, stdin=signed.read().decode(errors="replace"))
    if done.returncode or not person:
        return f"none of the allowed signers signed it: {done.stderr.strip()[-200:]}", ""
    return "", f"signed by {person}"


def _anchors(index: RunsIndex) -> Iterator[Anchored]:
    for path in sorted((index.folder / FOLDER).glob("*.txt")):
        rows = (line.partition(": ") for line in path.read_text(errors="replace").splitlines())
        told = {name: value for name, _, value in rows}
        entries, size = _number(told.get("entries", "")), _number(told.get("bytes", ""))
        yield Anchored(path, told.get("at", ""), entries, size, told.get("sha256", ""))


def _lost(index: RunsIndex) -> Iterator[Finding]:
    """Name anchors that the index tells of and that are gone or changed."""
    if not index.path.exists():
        return
    with index.path.open("rb") as file:
        for number, line in enumerate(file, 1):
            entry = decoded(line) if b'"event":"anchored"' in line else None
            if entry is None:
                continue
            path = index.folder / FOLDER / str(entry.get("anchor"))
            for each, name in ((path, "anchor"), (signature_of(path), "signature")):
                if not each.is_file():
                    text = f"{each.name} is missing, which was made here"
                elif whole_digest(each.read_bytes()) != entry.get(f"sha256_of_{name}"):
                    text = f"{each.name} is not the one that was made here"
                else:
                    continue
                yield Finding("broken", number, text, str(index.path))


def _prefixes(path: Path, sizes: Sequence[int]) -> dict[int, str]:
    """Give the SHA-256 of the first so many bytes of a file, for several sizes in one reading."""
    found: dict[int, str] = {}
    if not path.exists():
        return found
    summed, at = sha256(), 0
    with path.open("rb") as file:
        for size in sorted({size for size in sizes if size > 0}):
            piece = file.read(size - at)
            summed.update(piece)
            at += len(piece)
            if at == size:
                found[size] = summed.hexdigest()
    return found


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1
