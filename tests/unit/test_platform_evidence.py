"""What the evidence tells: in the cells of its table, and since when it is true."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runbook import step
from runbook.approval import Nobody
from runbook.drive import Driver
from runbook.evidence import Kept, KeptFile
from runbook.hosts import Host
from runbook.parts import Parts
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.export import Export, ExportedFile
from runbook.run import current
from runbook.stores import FolderStore, StoreSecret
from runbook.watch import LogWatcher
from tasks import platform_archives, platform_evidence
from tests.unit.language.scene import order

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


@dataclass
class Screen(LogWatcher):
    """Keeps what is shown at the end."""

    pages: list[str] = field(default_factory=list)

    def finished(self, title: str, markdown: str) -> None:
        self.pages.append(markdown)


def keep_odd() -> None:
    """Be a part that has kept something of an odd name."""
    files = (KeptFile("x|y", 7, "0" * 64),)
    current().kept.append(Kept("version | 1\n2", ("file:///a|b",), files, NOW, NOW))


def test_no_name_breaks_the_table(tmp_path: Path) -> None:
    def body() -> None:
        parts = Parts()
        with step("1", "Dump"):
            parts.carry_out("dump", "a|b", keep_odd)
        with step("2", "Show"):
            platform_evidence.show(parts)

    screen = Screen()
    Driver(tmp_path / "state", Nobody(), screen).run(order(body))
    head, _, row, *_ = screen.pages[0].splitlines()
    cells = [re.split(r"(?<!\\)\|", line) for line in (head, row)]
    assert len(cells[0]) == len(cells[1])
    assert "a\\|b" in row
    assert "`file:///a\\|b`" in row


def exported(name: str, verified: datetime | None) -> ExportedFile:
    """Give a file of an export."""
    return ExportedFile(file=f"{name}.cntmp", name=name, size=1, sha256="0" * 64, verified=verified)


def test_an_export_is_verified_since_the_first_of_its_files_was(tmp_path: Path) -> None:
    folder = FolderStore(path=str(tmp_path / "store"))
    found: list[Kept] = []

    def tell(*files: ExportedFile) -> Kept:
        def body() -> None:
            with folder.open(StoreSecret(), Host(name="worker")) as store:
                catalogue = ExportCatalogue(store, "x/", "job", "shop")
                export = Export(
                    id="20261122060000",
                    kind="job",
                    cluster="shop",
                    files=files,
                    finished=NOW,
                    run_id="1",
                )
                platform_archives.tell_kept(catalogue, export, "jobs")
                found.extend(current().kept)

        Driver(tmp_path / "state", Nobody(), LogWatcher()).run(order(body))
        return found[-1]

    early = NOW - timedelta(hours=3)
    kept = tell(exported("a", early), exported("b", NOW - timedelta(hours=1)))
    assert (kept.verified, kept.finished) == (early, NOW)
    assert tell(exported("a", None)).verified == NOW
