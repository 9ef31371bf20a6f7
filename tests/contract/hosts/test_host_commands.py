"""Commands on a host: the same promises from the worker's own machine and over SSH."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from runbook.errors import CommandFailed, Unreachable
from runbook.hosts import Command, Host
from runbook.hosts.process import gathered
from tests.contract.hosts.scene import sh

pytestmark = pytest.mark.lab

MIB = 1 << 20


def test_a_command_answers_with_code_output_and_errors(host: Host) -> None:
    done = host.attempt(sh("echo out; echo err >&2; exit 7"))
    assert (done.exit_code, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert host.read("printf", "%s", "a b'c\"$d\n*") == "a b'c\"$d\n*"
    assert host.holds("test", "-d", "/")
    assert not host.holds("test", "-d", "/nowhere")


def test_a_long_failure_is_told_by_its_first_and_its_last_words(host: Host) -> None:
    with pytest.raises(CommandFailed) as caught:
        host.run(Command(("sh", "-c", "echo the reason >&2; seq 100 >&2; exit 1")))
    told = caught.value.detail.splitlines()
    assert "the reason" in told
    assert told[-1] == "100"
    assert len(told) < 20


def test_a_failure_tells_command_code_and_last_words(host: Host) -> None:
    with pytest.raises(CommandFailed, match="exit code 3") as caught:
        host.run(sh("echo it is broken >&2; exit 3"))
    assert "it is broken" in caught.value.detail
    assert "ran on it" in caught.value.detail


def test_a_program_that_is_not_there_is_127(host: Host) -> None:
    assert host.attempt(Command(("no-such-program",))).exit_code == 127
    assert host.attempt(Command(("no-such-program",), stdin="x" * MIB)).exit_code == 127
    assert host.attempt(Command(("/etc/passwd",))).exit_code == 126


def test_standard_input_directory_and_environment_arrive(host: Host) -> None:
    command = sh('cat; pwd; echo "$GREETING"', directory="/usr", env=(("GREETING", "o'hai $x"),))
    done = host.run(Command(command.argv, directory="/usr", env=command.env, stdin="hello\n"))
    assert done.stdout == "hello\n/usr\no'hai $x\n"


def test_a_command_runs_as_another_user(host: Host) -> None:
    assert host.read("id", "-un", user="postgres").strip() == "postgres"


def test_the_line_that_is_shown_works_when_it_is_typed(host: Host) -> None:
    line = host.shown(
        Command(("sh", "-c", "id -un; echo $WHO"), user="nobody", env=(("WHO", "x"),))
    )
    assert line.startswith("runuser -u nobody -- env WHO=x sh"), "root may have no sudo"
    assert host.read("sh", "-c", line) == "nobody\nx\n"


def test_a_command_that_reads_nothing_may_be_given_much(host: Host) -> None:
    assert host.attempt(Command(("true",), stdin="x" * (4 * MIB))).exit_code == 0


def test_a_slow_command_is_given_up_in_its_time(host: Host) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in 1 s"):
        host.run(Command(("sleep", "61"), timeout=1))
    assert time.monotonic() - began < 15


def test_a_password_is_in_no_argv_and_no_environment(host: Host) -> None:
    secret = "*:*:*:postgres:hush-" + os.urandom(4).hex()
    script = 'cat "$PGPASSFILE"; stat -c %a "$PGPASSFILE"; echo "$PGPASSFILE"; sleep 1'
    seen: list[str] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    with contextlib.suppress(OSError):
                        text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                        seen.extend([entry.name] if secret.encode() in text else [])

    watcher = threading.Thread(target=watch)
    watcher.start()
    for leashed in (False, True):
        command = sh(script, passfile=secret, leashed=leashed)
        assert secret not in str(command)
        line, mode, path = host.run(command).stdout.splitlines()
        assert (line, mode) == (secret, "600")
        assert not Path(path).exists()
    watching.set()
    watcher.join()
    assert seen == []


def test_no_file_is_left_in_the_temporary_directory(remote: Host) -> None:
    line = "*:*:*:postgres:left-" + os.urandom(4).hex()
    remote.run(sh("true", passfile=line))
    assert not [path for path in Path("/tmp").glob("tmp.*") if line in _text(path)]


def _text(path: Path) -> str:
    """Read a file of anybody's; empty where it has gone meanwhile, or is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("size", [0, 1, 5 * MIB + 3])
def test_bytes_arrive_unchanged_both_ways(host: Host, size: int) -> None:
    data = os.urandom(size)
    with host.running(Command(("cat",))) as process:
        sender = threading.Thread(target=lambda: (process.write(data), process.close_stdin()))
        sender.start()
        back = b"".join(iter(process.read, b""))
        sender.join()
        assert process.wait(60) == 0
    assert back == data


def test_what_is_written_in_little_pieces_is_gathered(host: Host) -> None:
    little = Command(("dd", "if=/dev/zero", f"bs={MIB // 256}", "count=513", "status=none"))
    with host.running(little) as process:
        pieces = list(gathered(process, MIB))
        assert process.wait(60) == 0
    assert b"".join(pieces) == bytes(2 * MIB + MIB // 256)
    assert all(len(piece) >= MIB for piece in pieces[:-1])
    with host.running(Command(("true",))) as process:
        assert list(gathered(process, MIB)) == []
