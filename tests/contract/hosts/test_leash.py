"""Leashed commands: nothing of them stays when they end, or the worker, or the way in."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from runbook.errors import CommandFailed, Unreachable
from runbook.hosts import Host
from runbook.hosts.underway import Underway, collected
from tests.contract.hosts.scene import sh
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.sshd import Host as LabHost

pytestmark = pytest.mark.lab

SECONDS = (98765, 98762, 98764, 98761)
CHILD, ORPHAN, STUBBORN, LATE = (f"{seconds}.{os.getpid()}" for seconds in SECONDS)
"""Seconds to sleep, and the mark of this very run's sleepers."""

LEASHED = f'sleep {CHILD} & sleep {CHILD} & echo "started"; wait'


def running(*words: str) -> list[int]:
    """List processes whose command line has all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                if all(word in line for word in words):
                    found.append(int(entry.name))
    return found


def gone(*words: str, within: float = 12) -> None:
    processes.until(lambda: not running(*words), f"no process names {words}", within=within)


def test_leaving_the_block_ends_a_leashed_tree(host: Host) -> None:
    with host.running(sh(LEASHED, leashed=True)) as process:
        assert process.read(64).startswith(b"started")
        assert len(running("sleep", CHILD)) >= 2
    gone("sleep", CHILD, within=15)


def test_a_leashed_command_keeps_its_exit_code(host: Host) -> None:
    assert host.attempt(sh("echo x; exit 5", leashed=True)).exit_code == 5


def test_a_leashed_command_leaves_nobody_behind_when_it_ends(host: Host) -> None:
    assert host.attempt(sh(f"sleep {ORPHAN} & exit 4", leashed=True)).exit_code == 4
    gone("sleep", ORPHAN, within=15)


def test_a_stubborn_leashed_command_is_killed(host: Host) -> None:
    began = time.monotonic()
    with host.running(
        sh(f"trap '' TERM; echo on; sleep {STUBBORN}; sleep {STUBBORN}", leashed=True)
    ) as process:
        assert process.read(64) == b"on\n"
    gone("sleep", STUBBORN, within=15)
    assert time.monotonic() - began < 20


def test_a_killed_worker_takes_its_leashed_commands_along(host: Host) -> None:
    def work() -> None:
        host.way.close()
        with host.running(sh(LEASHED, leashed=True)) as process:
            process.read(64)
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    gone("sleep", CHILD)


def test_a_cut_connection_ends_the_leashed_command_and_is_told(
    machine: LabHost, remote: Host, loopback_lab: LoopbackLab
) -> None:
    answers: list[BaseException] = []

    def work() -> None:
        try:
            remote.run(sh(LEASHED, leashed=True))
        except Unreachable as error:
            answers.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    processes.until(lambda: len(running("sleep", CHILD)) >= 2, "it runs")
    with loopback_lab.trouble.unreachable(machine):
        worker.join(10)
        gone("sleep", CHILD)
    assert [str(error).splitlines()[0] for error in answers] == [
        "ERROR:  the SSH connection was lost"
    ]


def test_what_is_cleared_up_after_an_end_from_outside_meets_nobody_any_more(
    host: Host, machine: LabHost
) -> None:
    file, commands = machine.directory / "written", Underway()
    stubborn = f"trap '' TERM; while :; do echo {STUBBORN} >>{file}; sleep 0.1; done"

    def work() -> None:
        with collected(commands), contextlib.suppress(CommandFailed):
            host.run(sh(stubborn, leashed=True))
        host.run(sh(f"rm -f {file}"))

    worker = threading.Thread(target=work)
    worker.start()
    processes.until(file.exists, "it runs")
    while worker.is_alive():
        commands.end()
        worker.join(0.2)
    gone(str(file), within=15)
    assert not file.exists()


def test_a_command_that_is_only_just_beginning_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy host some time lies between the fork and the group of its own."""
    slow = tmp_path / "bin" / "setsid"
    slow.parent.mkdir()
    slow.write_text('#!/bin/sh\nsleep 3\nexec /usr/bin/setsid "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    began = tmp_path / "began"
    with Host(name="here").running(sh(f"touch {began}; sleep {LATE}", leashed=True)):
        processes.until(lambda: running("/bin/sh", str(slow)), "it is about to begin")
    time.sleep(4)
    assert not began.exists()
    assert running("sleep", LATE) == []
