"""The way in through bosh: bytes as they are, exit codes, and nothing of it stays."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runbook.errors import HostUnreachable, Unreachable
from runbook.hosts import Bosh, Command, Host
from runbook.hosts.tunnel import endpoint
from tests.contract.hosts.scene import sh
from tests.lab import bosh, processes
from tests.lab.bosh import StandInBosh
from tests.lab.machine import Machine
from tests.lab.machines import MachinesLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def vm(machines_lab: MachinesLab) -> Machine:
    return machines_lab.machine("bosh1")


@pytest.fixture(scope="module")
def command(vm: Machine, tmp_path_factory: pytest.TempPathFactory) -> StandInBosh:
    return bosh.install(tmp_path_factory.mktemp("bosh"), "a9s-pg", {"pg/0": vm})


@pytest.fixture(scope="module")
def way(command: StandInBosh) -> Iterator[Bosh]:
    found = Bosh(
        deployment="a9s-pg",
        instance="pg/0",
        environment_file=str(command.environment_file),
        program=str(command.program),
    )
    yield found
    found.close()


@pytest.fixture
def host(way: Bosh) -> Host:
    return Host(name="pg-0", way=way)


def test_output_errors_and_exit_code_are_the_commands_own(host: Host) -> None:
    done = host.attempt(sh("echo out; echo err >&2; exit 123"))
    assert (done.exit_code, done.stdout, done.stderr) == (123, "out\n", "err\n")
    assert host.attempt(sh("exit 255")).exit_code == 255


def test_bytes_go_both_ways_as_they_are(host: Host) -> None:
    data = os.urandom(3 << 20)
    with host.running(Command(("cat",))) as process:
        sent = iter(range(0, len(data), 1 << 16))
        came = b""
        for at in sent:
            process.write(data[at : at + (1 << 16)])
            came += process.read(1 << 16)
        process.close_stdin()
        while piece := process.read():
            came += piece
        assert process.wait(60) == 0
    assert came == data


def test_commands_run_as_any_user_and_arguments_stay_whole(host: Host) -> None:
    assert host.read("id", "-un", user="postgres") == "postgres\n"
    assert host.read("id", "-un", user="root") == "root\n"
    assert host.read("printf", "%s|", "a b", "c'd", "$HOME", "") == "a b|c'd|$HOME||"


def test_all_commands_share_one_session_which_takes_its_user_away(
    host: Host, vm: Machine, way: Bosh
) -> None:
    for _ in range(3):
        host.read("true")
    assert len(bosh.users(vm)) == 1
    way.close()
    assert bosh.users(vm) == []
    assert host.read("echo", "again") == "again\n"


def test_more_commands_run_at_once_than_sshd_takes_in_one_session(host: Host, vm: Machine) -> None:
    with ExitStack() as stack:
        cats = [stack.enter_context(host.running(Command(("cat",)))) for _ in range(12)]
        for number, process in enumerate(cats):
            process.write(f"{number}".encode())
            process.close_stdin()
        assert [process.read() for process in cats] == [f"{n}".encode() for n in range(12)]
    host.way.close()
    assert bosh.users(vm) == []


def test_a_leashed_command_ends_with_its_block(host: Host, vm: Machine) -> None:
    with host.running(sh("echo begun; exec sleep 98761", leashed=True)) as process:
        assert process.read(64) == b"begun\n"
    gone = ["pgrep", "-f", "^sleep 98761"]
    processes.until(lambda: vm.run(gone, check=False).returncode == 1, "the command has gone")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_tunnel_leads_to_what_listens_there(host: Host, address: str) -> None:
    with endpoint(host, address, 22) as door, socket.socket(socket.AF_UNIX) as near:
        near.connect(f"{door.host}/.s.PGSQL.{door.port}")
        assert near.recv(8) == b"SSH-2.0-"
    assert not Path(door.host).exists()


def test_a_session_that_dies_is_told_and_made_anew(host: Host, vm: Machine) -> None:
    with host.running(sh("echo begun; sleep 60")) as process:
        assert process.read(64) == b"begun\n"
        (user,) = bosh.users(vm)
        vm.run(["pkill", "-KILL", "-u", user])
        assert process.read() == b""
        with pytest.raises(Unreachable, match="connection through bosh to pg/0 was lost"):
            process.wait(10)
    assert host.read("echo", "alive") == "alive\n"


def test_a_worker_that_is_killed_leaves_no_user(command: StandInBosh, vm: Machine) -> None:
    before = set(bosh.users(vm))
    script = f"""

from runbook.hosts import Bosh, Host
way = Bosh(deployment="a9s-pg", instance="pg/0", program={str(command.program)!r},
           environment_file={str(command.environment_file)!r})
print(Host(name="pg-0", way=way).read("echo", "there"), flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "there\n"
        assert len(set(bosh.users(vm)) - before) == 1
        worker.kill()
    processes.until(lambda: set(bosh.users(vm)) <= before, "bosh has taken its user away")


def test_a_director_that_lets_nobody_in_is_told(command: StandInBosh) -> None:
    stranger = Bosh(deployment="a9s-pg", instance="pg/0", program=str(command.program))
    with pytest.raises(HostUnreachable, match="bosh makes no connection to pg/0") as caught:
        Host(name="pg-0", way=stranger).read("true")
    assert "Not authorized" in caught.value.detail


def test_the_secret_is_in_no_argv(host: Host) -> None:
    host.read("true")
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes())
        except OSError:
            continue
    assert any(b"sleep infinity" in line for line in lines)
    assert not any(bosh.SECRET.encode() in line for line in lines)
