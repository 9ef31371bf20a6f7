"""Whether anybody answers in the name of an Orchestrator that must be off."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from runbook.cluster import Backups, Cluster
from runbook.errors import CommandFailed
from runbook.hosts import Host, Local, Ssh
from runbook.orchestrator.doors import KNOCK, Doors, has_twin
from runbook.orchestrator.former import FormerOrchestrator, addresses, resolved
from runbook.orchestrator.places import Live
from runbook.orchestrator.retirement import Retirement
from runbook.orchestrator.settings import Orchestrator
from runbook.postgres import Node
from runbook.postgres.state import Identity

LOCAL = Local()
HERE = Host(name="here", way=LOCAL)


def test_an_open_door_is_told_from_both_sides_and_a_shut_one_is_silence() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        doors = Doors((place, "127.0.0.1:1"), HERE)
        assert doors.answering() == (f"{place}, asked from the worker", f"{place}, asked from here")
        assert not doors.stay_shut(1)
    assert Doors(("127.0.0.1:1",), HERE).stay_shut(2, pause=0)
    assert Doors((), HERE).answering() == ()


def test_who_does_not_even_see_its_own_door_open_tells_of_no_silence() -> None:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        port = own.getsockname()[1]
        for said, told in ((port, (0, f"127.0.0.1:{port}")), (1, (3, ""))):
            known = {**os.environ, "SSH_CONNECTION": f"127.0.0.1 50000 127.0.0.1 {said}"}
            argv = ["sh", "-c", KNOCK, "knock", f"127.0.0.1:{port}", "127.0.0.1:1"]
            done = subprocess.run(argv, env=known, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout.strip()) == told, done.stderr


def test_a_worker_that_cannot_ask_tells_of_no_silence() -> None:
    with pytest.raises(CommandFailed, match="cannot ask whether anybody answers at"):
        Doors(("fe80::1:1",), HERE).answering()


def test_nobody_can_ask_for_a_twin_of_an_address_that_is_on_no_network() -> None:
    assert has_twin(HERE, "127.0.0.1") is None
    assert has_twin(HERE, "192.0.2.1") is None


@pytest.mark.parametrize(
    ("flags", "version", "code", "told"),
    [
        ("BROADCAST", "arping from iputils 20221126", 0, False),
        ("BROADCAST", "arping from iputils 20221126", 1, True),
        ("BROADCAST", "arping from iputils 20221126", 2, None),
        ("BROADCAST", "ARPing 2.23, by Thomas Habets", 1, None),
        ("NOARP", "arping from iputils 20221126", 1, None),
    ],
)
def test_a_second_machine_with_the_address_is_told_as_arping_tells_it(
    programs: Path, flags: str, version: str, code: int, told: bool | None
) -> None:
    say(programs / "ip", f"case $2 in link) echo '<{flags}>';; *) echo '2: eth7 inet';; esac")
    say(
        programs / "arping",
        f"""case $* in -V) echo "{version}";; "-q -D "*" -I eth7 10.0.0.5") exit {code};; esac""",
    )
    assert has_twin(HERE, "10.0.0.5") is told


def test_a_server_of_any_directory_is_listed_but_for_one(tmp_path: Path) -> None:
    program, own = tmp_path / "postgres", tmp_path / "own"
    shutil.copy2(shutil.which("sleep") or "sleep", program)
    own.mkdir()
    old = former(own)
    with subprocess.Popen([program, "600"], cwd=own) as process:
        assert str(process.pid) in old.servers()
        assert str(process.pid) in old.servers(beside=str(tmp_path))
        assert str(process.pid) not in old.servers(beside=str(own))
        process.kill()
    assert str(process.pid) not in old.servers()


def test_servers_are_told_apart_by_machine_and_directory(tmp_path: Path) -> None:
    """Not by their system identifier: VMs of one image have the same."""
    (tmp_path / "new").mkdir()
    (tmp_path / "other").mkdir()
    new = server(tmp_path / "new")
    assert former(tmp_path / "new").reach(new) == "new"
    assert former(tmp_path / "nowhere").reach(new) == "new"
    assert former(tmp_path / "other").reach(new) == "unknown"


def test_silence_behind_a_machine_that_is_not_there_is_no_silence(tmp_path: Path) -> None:
    new, gone = server(tmp_path), Ssh(address="127.0.0.1", port=1)
    for update, told in (
        ({}, "silent"),
        ({"jump": gone}, "unknown"),
        ({"address": "nobody.invalid"}, "nameless"),
    ):
        assert former(tmp_path, gone.model_copy(update=update)).reach(new) == told


def test_a_name_that_loses_its_address_while_a_restore_runs_is_no_silence(tmp_path: Path) -> None:
    gone = Ssh(address="127.0.0.1", port=1)
    known = former(tmp_path, gone)
    nameless = former(tmp_path, gone.model_copy(update={"address": "nobody.invalid"}))
    new = live(server(tmp_path))
    assert Retirement(nameless, new, frozenset()).is_out()
    lost = Retirement(known, new, frozenset())
    assert lost.reach == "silent"
    lost.__dict__["old"] = nameless
    assert not lost.is_out()


def test_nobody_is_asked_at_an_address_that_the_new_one_has(tmp_path: Path) -> None:
    old, new = former(tmp_path, Ssh(address="127.0.0.1", port=1)), live(server(tmp_path))
    known = ("10.0.0.5:5432", "127.0.0.1:5432", "10.0.0.5:22", "127.0.0.1:1")
    for own in ((), ("10.0.0.5",), ("127.0.0.1",), ("10.0.0.5", "127.0.0.1")):
        retirement = Retirement(old, new, frozenset(own))
        left = tuple(place for place in known if place.partition(":")[0] not in own)
        assert retirement.doors().places == left
        assert retirement.strange_doors().places == left[len(left) // 2 :]
        assert retirement.has_address == ("10.0.0.5" in own)


def test_a_host_has_the_addresses_of_its_networks(programs: Path) -> None:
    say(programs / "hostname", '[ "$*" = -I ] && echo "10.0.0.6 fd00:0::6 "')
    assert addresses(HERE) == {"10.0.0.6", "fd00::6"}


def test_a_name_counts_by_its_addresses() -> None:
    assert "127.0.0.1" in resolved("localhost")
    assert resolved("10.0.0.5") == {"10.0.0.5"}
    assert resolved("nobody.invalid") == frozenset()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder whose programs stand before those of the machine."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def say(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def former(directory: Path, way: Local | Ssh = LOCAL) -> FormerOrchestrator:
    return FormerOrchestrator(
        name="old",
        host=Host(name="old", way=way),
        address="10.0.0.5",
        data_directory=str(directory),
        bin_directory="/nowhere",
        os_user=myself(),
    )


def live(new: Node) -> Live:
    settings = Orchestrator(store="store")
    cluster = Cluster(name="c", nodes=(new,), backups=Backups(store="s"), orchestrator=settings)
    return Live(cluster, settings, new, Identity.model_construct(), {})


def server(directory: Path) -> Node:
    return Node(
        name="new",
        host=HERE,
        data_directory=str(directory),
        bin_directory="/bin",
        os_user=myself(),
    )


def myself() -> str:
    return HERE.way.login
