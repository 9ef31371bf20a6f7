"""A stand-in for apc, the platform's client: no platform can be had here.

It takes the words of the page "Backing Up and Restoring Platform Data", writes the files that the
page names, and keeps the platform in a folder: `policy/<document>.pol`, and in `package` and `job`
`<namespace>/<name>`. An archive (.cntmp) of it is a gzip tar with a manifest that names
what it is, and with other times in every export. What the page does not show, it says in few words.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes


@dataclass(frozen=True)
class Platform:
    """The folder of the platform, and the command on its client's machine."""

    directory: Path
    program: Path

    @property
    def commands(self) -> list[str]:
        """Give every command that the client was given, oldest first."""
        journal = self.directory / "journal"
        return journal.read_text().splitlines() if journal.exists() else []

    def contents(self, kind: str = "policy") -> dict[str, str]:
        """Give what the platform holds of a kind."""
        top = self.directory / kind
        found = (path for path in top.rglob("*") if path.is_file())
        return {str(path.relative_to(top)): path.read_text() for path in sorted(found)}

    def put(self, kind: str, name: str, text: str) -> None:
        """Let the platform hold something; `name` has its folder."""
        path = self.directory / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self._give()

    def drop(self, kind: str, name: str) -> None:
        """Let the platform hold it no longer."""
        (self.directory / kind / name).unlink()

    def trouble(self, **faults: str) -> None:
        """Let faults happen: `export_<name>` or `<kind>_import`, what."""
        named = {key.replace("_", " ", 1): fault for key, fault in faults.items()}
        (self.directory / "trouble").write_text(json.dumps(named))

    def empty(self) -> None:
        """Begin anew."""
        for path in self.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for kind in ("policy", "package", "job"):
            (self.directory / kind).mkdir()
        (self.directory / "target").write_text("/")
        self._give()

    def _give(self) -> None:
        processes.run(["chown", "-R", "postgres", self.directory])


def install(folder: Path) -> Platform:
    """Write the command, and an empty platform, into a folder that postgres can look into."""
    program, source = folder / "apc", folder / "apc_command.py"
    shutil.copyfile(Path(__file__).with_name("apc_command.py"), source)
    source.chmod(0o644)
    directory = folder / "platform"
    directory.mkdir()
    words = shlex.join(["python3", str(source), str(directory)])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    platform = Platform(directory, program)
    platform.empty()
    return platform
