"""What monit tells of a process is understood, in the words of 5.2 and of 5.33."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from runbook.hosts import Command
from runbook.tools import monit

OLD = """The Monit daemon 5.2.5 uptime: 19h 17m

Process 'postgresql-ha'
  status                            {status}
  monitoring status                 {watched}
  pid                               65763
  parent pid                        1
  data collected                    Tue May 20 10:33:22 2025

Process 'repmgr'
  status                            running
  monitoring status                 monitored
  pid                               65790

System 'system_localhost'
  status                            running
  monitoring status                 monitored
"""

NEW = """Monit 5.33.0 uptime: 2h 3m

Process 'postgresql'
  status                       OK
  monitoring status            Monitored

Process 'postgresql-ha'
  status                       {status}
  monitoring status            {watched}
  monitoring mode              active
  on reboot                    start
  data collected               Sat, 21 Nov 2026 15:52:06

System 'postgresql-ha'
  status                       OK
  monitoring status            Monitored
"""


def ended(command: Command, folder: Path, told: str) -> int:
    """Run a look with a monit that tells this; monit 5.2 is in no distribution any more."""
    (folder / "told").write_text(told)
    program = folder / "monit"
    program.write_text(f"#!/bin/sh\ntest $# = 1 && cat {shlex.quote(str(folder / 'told'))}\n")
    program.chmod(0o755)
    argv = [word.replace("MONIT", str(program)) for word in command.argv]
    return subprocess.run(argv, check=False, timeout=30).returncode


@pytest.mark.parametrize(
    ("text", "status", "watched", "held"),
    [
        (OLD, "running", "monitored", False),
        (OLD, "not monitored", "not monitored", True),
        (OLD, "not monitored - start pending", "not monitored", False),
        (OLD, "Execution failed", "monitored", False),
        (OLD, "initializing", "initializing", False),
        (NEW, "OK", "Monitored", False),
        (NEW, "Not monitored", "Not monitored", True),
        (NEW, "Not monitored - start pending", "Not monitored", False),
        (NEW, "OK - stop pending", "Monitored", False),
        (NEW, "Does not exist", "Monitored", False),
        (NEW, "Initializing", "Initializing", False),
    ],
)
def test_a_process_is_held_when_monit_watches_it_no_more_and_has_no_order_for_it(
    text: str, status: str, watched: str, held: bool, tmp_path: Path
) -> None:
    told = text.format(status=status, watched=watched)
    assert ended(monit.is_held("MONIT", "postgresql-ha"), tmp_path, told) == (0 if held else 1)


def test_a_process_of_another_name_is_not_taken_for_it(tmp_path: Path) -> None:
    told = OLD.format(status="not monitored", watched="not monitored")
    assert ended(monit.is_held("MONIT", "postgresql"), tmp_path, told) == 1
    assert ended(monit.is_held("MONIT", "system_localhost"), tmp_path, told) == 1
    assert ended(monit.is_held("MONIT", "repmgr"), tmp_path, told) == 1


def test_a_process_runs_only_when_its_program_does(tmp_path: Path) -> None:
    told = OLD.format(status="running", watched="monitored")
    absent = monit.is_running("MONIT", "repmgr", "no-such-program")
    assert ended(absent, tmp_path, told) == 1
    program = tmp_path / "monits-daemon-15"
    shutil.copy("/bin/sleep", program)
    off = OLD.format(status="not monitored", watched="not monitored")
    is_stopped = monit.is_stopped("MONIT", "postgresql-ha", program.name)
    with subprocess.Popen([program, "60"]) as daemon:
        is_running = monit.is_running("MONIT", "repmgr", program.name)
        assert ended(is_running, tmp_path, told) == 0
        assert ended(is_running, tmp_path, told.replace("running", "running - stop pending")) == 1
        assert ended(is_stopped, tmp_path, off) == 1
        daemon.kill()
    assert ended(is_stopped, tmp_path, off) == 0
    assert ended(is_stopped, tmp_path, told) == 1


def test_an_order_prints_as_a_person_would_type_it() -> None:
    program = "/var/vcap/bosh/bin/monit"
    assert str(monit.stop(program, "postgresql-ha")) == f"{program} stop postgresql-ha"
