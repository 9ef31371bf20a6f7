"""pgBackRest as a peer: full backups into a repository on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.bench import commands
from tests.bench.bed import Bed

_SETTINGS = """\
[global]
repo1-path={folder}/repo
repo1-bundle=y
lock-path={folder}/lock
log-path={folder}/log
log-level-console=warn
log-level-file=off
compress-type=zst
compress-level=1
process-max=2
start-fast=y
archive-check=n
archive-mode-check=n

[bench]
pg1-path={node.data_directory}
pg1-port={node.port}
pg1-socket-path={node.socket_directory}
"""


@dataclass(frozen=True)
class PgBackRest:
    """A stanza named bench. Ref.: https://pgbackrest.org/configuration.html"""

    bed: Bed
    folder: Path

    def fresh(self) -> None:
        """Make an empty repository with its stanza."""
        commands.folder(self.folder)
        text = _SETTINGS.format(folder=self.folder, node=self.bed.node)
        (self.folder / "pgbackrest.conf").write_text(text)
        self._run("stanza-create")

    def backup(self) -> None:
        """Take a full backup."""
        self._run("backup", "--type=full")

    def version(self) -> str:
        """Tell the version."""
        return commands.run(("pgbackrest", "version")).strip()

    def _run(self, *words: str) -> None:
        config = f"--config={self.folder}/pgbackrest.conf"
        commands.run(("pgbackrest", config, "--stanza=bench", *words), user="postgres")
