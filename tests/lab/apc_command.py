#!/usr/bin/env python3
"""What the stand-in for apc does; see apc.py. Its first argument is the folder of the platform."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tarfile
import time
from pathlib import Path

State = tuple[Path, str]
LAYERS = b"\f"
"""What stands between the layers of a package that has several."""
_FORCE, _SKIP, _OVERRIDE = {"-f", "--force"}, {"-s", "--skip-existing"}, {"-o", "--override"}


class Refused(Exception):
    """What apc says when it does not do a thing."""


def main() -> int:
    """Run the command."""
    platform, words = Path(sys.argv[1]), sys.argv[2:]
    with (platform / "journal").open("a") as journal:
        journal.write(" ".join(words) + "\n")
    try:
        print(_said(platform, words))
    except Refused as refusal:
        print(f"Error: {refusal}", file=sys.stderr)
        return 1
    return 0


def _said(platform: Path, words: list[str]) -> str:
    match words:
        case ["ns" | "namespace", namespace]:
            (platform / "target").write_text(namespace)
            return f"Setting namespace to '{namespace}'... done"
        case ["policy", "export", *rest]:
            return _export_policy(platform, rest)
        case ["policy", "import", *rest] if rest:
            return _import_policy(platform, rest)
        case ["export", "all"]:
            return _export_all(platform)
        case ["package" | "job" as kind, "export", *names] if names:
            return _export(platform, kind, names)
        case ["package" as kind, "import", *rest] if rest:
            return _import(platform, kind, rest)
        case ["import", *rest] if rest:
            return _import(platform, "job", rest)
    raise Refused(f"unknown command {words}")


def _export_policy(platform: Path, words: list[str]) -> str:
    folder, force, names = Path(), False, []
    rest = iter(words)
    for word in rest:
        if word in {"-d", "--dir"}:
            folder = Path(next(rest))
        elif word in _FORCE:
            force = True
        else:
            names.append(word)
    known = sorted(path.stem for path in (platform / "policy").glob("*.pol"))
    for name in names or known:
        if name not in known:
            raise Refused(f"policy document '{name}' not found")
        target = folder / f"{name}.pol"
        if target.exists() and not force and input(f"Overwrite {target}? [y/n]") != "y":
            raise Refused("aborted")
        _write(platform, target, (platform / "policy" / f"{name}.pol").read_bytes())
    return f"Exported {len(names or known)} policy documents... done"


def _import_policy(platform: Path, files: list[str]) -> str:
    for file in files:
        text = Path(file).read_bytes()
        _trouble(platform, "policy import")
        new = platform / "policy" / f".{Path(file).name}"
        new.write_bytes(text)
        new.replace(new.with_name(Path(file).name))
    return "Importing policy... done"


def _target(platform: Path) -> str:
    return (platform / "target").read_text()


def _place(platform: Path, kind: str, namespace: str, name: str) -> Path:
    return platform / kind / namespace.strip("/").replace("/", ".") / name


def _export(platform: Path, kind: str, names: list[str]) -> str:
    for given in names:
        name, namespace = given.removesuffix(".cntmp"), _target(platform)
        place = _place(platform, kind, namespace, name)
        if "*" in name or not place.is_file():
            raise Refused(f"{kind} '{kind}::{namespace}::{name}' not found")
        _write(platform, Path(f"{name}.cntmp"), _packed(_parts(kind, namespace, place)))
    return f"Exporting {kind}s... done"


def _export_all(platform: Path) -> str:
    parts: dict[str, bytes] = {}
    for kind in ("package", "job"):
        for place in sorted(path for path in (platform / kind).rglob("*") if path.is_file()):
            if LAYERS in place.read_bytes():
                raise Refused(f"cannot export multi-layered package '{place.name}'")
            folder = str(place.parent.relative_to(platform / kind))
            found = _parts(kind, f"/{folder.replace('.', '/')}", place)
            parts |= {f"{kind}/{folder}/{place.name}/{name}": each for name, each in found.items()}
    _write(platform, Path("all.cntmp"), _packed(parts))
    return "Exporting all... done"


def _parts(kind: str, namespace: str, place: Path) -> dict[str, bytes]:
    """Give what an archive has of a package or job: what it is, and its layers."""
    manifest = {"fqn": f"{kind}::{namespace}::{place.name}", "kind": kind}
    return {"manifest.json": json.dumps(manifest).encode(), "layer": place.read_bytes()}


def _packed(parts: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for file, content in parts.items():
            member = tarfile.TarInfo(file)
            member.size, member.mtime = len(content), int(time.time())
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _import(platform: Path, kind: str, words: list[str]) -> str:
    given = {word for word in words if word.startswith("-")}
    if given - _SKIP - _OVERRIDE - {"--batch"}:
        raise Refused(f"unknown option {given}")
    told = []
    for file in (word for word in words if word not in given):
        with tarfile.open(file) as tar:
            parts = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        what, namespace, name = json.loads(parts["manifest.json"])["fqn"].split("::")
        if what != kind:
            raise Refused(f"{file} holds no {kind}")
        namespace = _target(platform) if given & _OVERRIDE else namespace
        place = _place(platform, kind, namespace, name)
        if place.exists():
            if not given & _SKIP:
                raise Refused(f"{kind} '{kind}::{namespace}::{name}' already exists")
            told.append(f"Warning: {kind} '{kind}::{namespace}::{name}' already exists")
            continue
        _trouble(platform, f"{kind} import")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(parts["layer"])
    return "\n".join([*told, f"Importing {kind}s... done"])


def _write(platform: Path, path: Path, content: bytes) -> None:
    """Write an exported file, or what a fault leaves of it."""
    fault = _trouble(platform, f"export {path.stem}")
    if fault == "missing":
        return
    half = {"cut": content[: len(content) * 2 // 3], "empty": b"", "garbled": content[::-1]}
    path.write_bytes(half.get(fault, content))
    if fault == "half refused":
        path.write_bytes(content[: len(content) // 2])
        raise Refused("cannot export Multi-Layered package 'go-1'")


def _trouble(platform: Path, at: str) -> str:
    """Do what a fault says that happens here."""
    place = platform / "trouble"
    faults = json.loads(place.read_text()) if place.exists() else {}
    fault = str(faults.get(at, ""))
    if fault == "fail":
        raise Refused("write: no space left on device")
    if fault == "hang":
        (platform / "hanging").touch()
        ends = time.monotonic() + 600
        while (platform / "hanging").exists() and time.monotonic() < ends:
            time.sleep(0.05)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return fault


if __name__ == "__main__":
    sys.exit(main())
