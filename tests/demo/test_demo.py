"""The demo does what it says, and whatever happens it leaves no process and no file elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab import processes

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]
REPOSITORY = Path(__file__).parents[2]
ENOUGH_SECONDS = 600
# Root as it is in a container: it may not look into the processes of other users.
CONTAINER = ("setpriv", "--bounding-set=-sys_ptrace")


@dataclass
class Demo:
    """A demo that runs, and the lines it has printed so far."""

    process: subprocess.Popen[str]
    mark: str
    folder: Path
    home: Path
    lines: list[str] = field(default_factory=list)
    moved: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.moved:
                self.lines.append(line.rstrip())
                self.moved.notify_all()
        with self.moved:
            self.moved.notify_all()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str) -> None:
        def come() -> bool:
            return words in self.text or self.process.poll() is not None

        with self.moved:
            self.moved.wait_for(come, ENOUGH_SECONDS)
        assert words in self.text, self.text[-3000:]

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(180)

    @property
    def members(self) -> list[int]:
        return processes.members(self.mark, self.folder)


@contextmanager
def demo(folder: Path, home: Path, *options: str, within: Sequence[str] = ()) -> Iterator[Demo]:
    mark = f"demo-{os.getpid()}"
    command = [*within, sys.executable, "-m", "deployments.cli", "demo"]
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG", "PYTEST"))}
    env = kept | {"HOME": str(home), processes.MARK: mark, "COLUMNS": "200"}
    argv = [*command, "--folder", str(folder), *options]
    process = subprocess.Popen(
        argv, cwd=REPOSITORY, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    running = Demo(process, mark, folder, home)
    listener = threading.Thread(target=running.listen)
    listener.start()
    try:
        yield running
    finally:
        processes.end(running.members)
        process.wait()
        listener.join()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the unprivileged user can reach, which pytest's own are not for root."""
    import shutil
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="pg-runbooks-demo-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found, text[-3000:]
    return int(found[1].replace(",", ""))


def test_a_table_is_lost_and_comes_back_and_ctrl_c_ends_everything(
    folder: Path, tmp_path: Path
) -> None:
    with demo(folder, tmp_path / "home", "--keep") as shown:
        shown.wait_for("Everything keeps running until Ctrl-C")
        before = number(shown.text, r"rows of the lost table +([\d,]+) before")
        lost = number(shown.text, r"rows lost +([\d,]+), written")
        back = number(shown.text, r"rows back +([\d,]+), all")
        assert before == lost + back
        assert back >= 200_000
        assert "### 6. Set the old data aside and put the backup in its place" in shown.text
        assert re.search(r"recovery time \(RTO\) +[\d.]+ s from stop to healthy", shown.text)
        assert re.search(r"recovery point \(RPO\) +the data is \d", shown.text)
        record = re.search(r"audit file +(\S+) \(\d+ entries, chain verified\)", shown.text)
        assert record
        assert Path(record[1]).is_relative_to(folder)
        page = re.search(r"the run in the UI +(http://\S+?)/runs/", shown.text)
        assert page
        with urllib.request.urlopen(f"{page[1]}/api/health", timeout=10) as answer:
            assert answer.status == 200
        shown.wait_for("pg-runbooks pending")
        programs = re.search(r"export PATH=(\S+):\$PATH", shown.text)
        assert programs
        assert (Path(programs[1]) / "pg-runbooks").is_file()
        assert shown.members
        assert shown.interrupt() == 0
        assert shown.members == []
    assert list((tmp_path / "home").iterdir()) == []


def test_ctrl_c_in_the_middle_leaves_nothing_running(folder: Path, tmp_path: Path) -> None:
    with demo(folder, tmp_path / "home", within=CONTAINER) as shown:
        shown.wait_for("Runbook base-backup, through its deployment")
        assert shown.interrupt() == 130
        assert shown.members == []
        assert "Traceback" not in shown.text
    assert list((tmp_path / "home").iterdir()) == []


def test_a_demo_that_was_killed_is_cleared_away_by_the_next(folder: Path, tmp_path: Path) -> None:
    with demo(folder, tmp_path / "first") as shown:
        shown.wait_for("the application takes orders")
        shown.process.kill()
        shown.process.wait()
        left = shown.members
        assert left
        with demo(folder, tmp_path / "second") as again:
            again.wait_for("the application takes orders")
            assert not [pid for pid in left if processes.alive(pid)]
            assert again.interrupt() == 130
