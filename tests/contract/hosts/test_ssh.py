"""SSH connections: kept, shared, made anew, through another host, and refused."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from runbook.errors import (
    ConnectionLost,
    HostUnreachable,
    LoginRefused,
    SettingsError,
    Unreachable,
)
from runbook.hosts import Command, Host, Ssh, connections
from runbook.hosts.channel import OrderedChannel
from tests.contract.hosts.scene import ssh_to
from tests.lab.loopback import LoopbackLab
from tests.lab.processes import until
from tests.lab.ssh import create_key
from tests.lab.sshd import Host as LabHost

pytestmark = pytest.mark.lab

MIB = 1 << 20


def test_a_stream_longer_than_any_rekey_limit_arrives(machine: LabHost, remote: Host) -> None:
    """Paramiko's own limit is 512 MB; sshd here asks for new keys after 16 MB."""
    with (machine.directory / "sshd_config").open("a") as file:
        file.write("RekeyLimit 16M\n")
    machine.stop_ssh()
    machine.start_ssh()
    total, sent, came = 640 * MIB, hashlib.sha256(), hashlib.sha256()
    piece = os.urandom(MIB)

    def send() -> None:
        for _ in range(total // MIB):
            process.write(piece)
            sent.update(piece)
        process.close_stdin()

    with remote.running(Command(("cat",))) as process:
        sender = threading.Thread(target=send)
        sender.start()
        for back in iter(process.read, b""):
            came.update(back)
        sender.join()
        assert process.wait(60) == 0
    assert came.digest() == sent.digest()


def test_a_new_connection_is_made_when_sshd_was_restarted(machine: LabHost, remote: Host) -> None:
    assert remote.read("echo", "1") == "1\n"
    machine.stop_ssh()
    with pytest.raises(Unreachable, match="cannot reach"):
        remote.read("echo", "2")
    machine.start_ssh()
    assert remote.read("echo", "3") == "3\n"


def test_who_gives_up_a_dead_connection_leaves_the_new_one_to_the_others(
    machine: LabHost, remote: Host
) -> None:
    """Two find the connection dead; one has made a new one when the other gives up the old."""
    assert isinstance(remote.way, Ssh)
    old = connections.kept(remote.way)
    machine.stop_ssh()
    machine.start_ssh()
    with remote.running(Command(("cat",))) as process:
        connections.discard(remote.way, old)
        process.write(b"alive")
        assert process.read(5) == b"alive"
        assert connections.kept(remote.way) is not old


def test_no_packet_of_a_command_is_held_back(remote: Host) -> None:
    """One that waits for an acknowledgement waits for 40 ms: so much longer every command took."""
    until(lambda: _seconds_of_a_command(remote) < 0.03, "a command has not waited")


def _seconds_of_a_command(host: Host) -> float:
    began = time.monotonic()
    host.read("true")
    return time.monotonic() - began


def test_one_connection_serves_many_commands_at_once(remote: Host) -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        answers.append(remote.read("sh", "-c", f"sleep 0.2; echo {number}"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [f"{n}\n" for n in range(8)]


@pytest.mark.parametrize("said", ["", "to nobody\n"])
def test_short_commands_side_by_side_do_not_cut_the_connection(remote: Host, said: str) -> None:
    """What is said to a command that ends just then must not follow the channel's close."""
    assert isinstance(remote.way, Ssh)
    remote.read("true")
    connection = connections.kept(remote.way)
    command = Command(("true",), stdin=said)

    def work() -> None:
        for _ in range(300):
            remote.run(command)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert connections.kept(remote.way) is connection


def test_more_commands_run_at_once_than_sshd_takes_in_one_connection(remote: Host) -> None:
    """Ten sessions are what sshd takes by default (MaxSessions)."""
    with ExitStack() as stack:
        cats = [stack.enter_context(remote.running(Command(("cat",)))) for _ in range(25)]
        for number, process in enumerate(cats):
            process.write(f"{number}".encode())
            process.close_stdin()
        assert [process.read() for process in cats] == [f"{n}".encode() for n in range(25)]


def test_a_machine_that_opens_no_session_is_told_and_the_others_live(
    loopback_lab: LoopbackLab,
) -> None:
    machine = loopback_lab.host("way2")
    _take_sessions(machine, 1)
    host = Host(name="it", way=ssh_to(machine))
    with host.running(Command(("cat",))) as process:
        _take_sessions(machine, 0)
        with pytest.raises(Unreachable, match="opens no further session") as caught:
            host.read("true")
        assert "MaxSessions" in caught.value.hint
        process.write(b"still here")
        process.close_stdin()
        assert process.read() == b"still here"
    host.way.close()


def _take_sessions(machine: LabHost, number: int) -> None:
    """Let sshd take so many in each connection that comes from now on; those of before live."""
    config, log = machine.directory / "sshd_config", machine.directory / "sshd.log"
    text = re.sub(r"MaxSessions \d+", f"MaxSessions {number}", config.read_text())
    config.write_text(text)
    listening = log.read_text().count("Server listening")
    os.kill(int((machine.directory / "sshd.pid").read_text()), signal.SIGHUP)
    until(lambda: log.read_text().count("Server listening") > listening, "sshd listens anew")


def test_a_host_behind_another_is_reached(machine: LabHost, loopback_lab: LoopbackLab) -> None:
    behind = loopback_lab.host("way3")
    way = ssh_to(behind, jump=ssh_to(machine).model_dump())
    before = len(machine.journal)
    host = Host(name="behind", way=way)
    assert host.read("echo", "there") == "there\n"
    assert behind.journal[-1].command == "echo there"
    assert len(machine.journal) == before
    assert f"through root@{machine.address}" in str(way)
    way.close()


def refused(way: Ssh) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        Host(name="it", way=way).read("true")
    return caught.value


def test_an_unknown_host_key_is_refused(machine: LabHost, tmp_path: Path) -> None:
    error = refused(ssh_to(machine, known_hosts=str(tmp_path / "none")))
    assert isinstance(error, LoginRefused)
    assert "is not known" in error.message
    assert "ssh-keyscan" in error.hint


def test_a_changed_host_key_is_refused(
    machine: LabHost, loopback_lab: LoopbackLab, tmp_path: Path
) -> None:
    other = loopback_lab.host("way3")
    known = tmp_path / "known"
    lines = machine.known_hosts.read_text().splitlines()
    (swapped,) = (line for line in lines if line.startswith(f"[{other.address}]"))
    known.write_text(swapped.replace(other.address, machine.address) + "\n")
    error = refused(ssh_to(machine, known_hosts=str(known)))
    assert isinstance(error, LoginRefused)
    assert "another SSH host key" in error.message
    assert "SHA256:" in error.detail


def test_a_refused_login_is_told(machine: LabHost, tmp_path: Path) -> None:
    create_key(tmp_path / "stranger")
    error = refused(ssh_to(machine, key_file=str(tmp_path / "stranger")))
    assert isinstance(error, LoginRefused)
    assert "refuses the login root" in error.message


def test_a_missing_key_is_a_matter_of_settings(machine: LabHost) -> None:
    with pytest.raises(SettingsError, match="no private key"):
        Host(name="it", way=ssh_to(machine, key_file="/nowhere/key")).read("true")


def test_nobody_listening_and_nobody_answering_are_told(machine: LabHost) -> None:
    nobody = refused(ssh_to(machine, port=1))
    assert "cannot reach" in nobody.message
    assert type(nobody) is HostUnreachable
    with socket.socket() as silent:
        silent.bind((machine.address, 0))
        silent.listen()
        began = time.monotonic()
        error = refused(ssh_to(machine, port=silent.getsockname()[1]))
    assert "cannot reach" in error.message
    assert isinstance(error, LoginRefused), "somebody has taken the connection"
    assert time.monotonic() - began < 40


def test_who_is_silent_behind_another_is_told_from_who_answers_there(
    machine: LabHost, loopback_lab: LoopbackLab, tmp_path: Path
) -> None:
    jump = ssh_to(machine).model_dump()
    behind = loopback_lab.host("way3")
    assert type(refused(ssh_to(behind, jump=jump, port=1))) is HostUnreachable
    create_key(tmp_path / "stranger")
    stranger = ssh_to(behind, jump=jump, key_file=str(tmp_path / "stranger"))
    assert isinstance(refused(stranger), LoginRefused)


# Counts its starts; in its first ones it ends the sshd that serves it, and with it the connection.
_CUTTING = 'echo >>"$1"; [ "$(wc -l <"$1")" -gt "$2" ] || kill -KILL "$PPID"; echo said'


def _starts(counted: Path) -> int:
    return len(counted.read_text().splitlines())


def test_what_only_reads_is_asked_again_when_the_connection_breaks(
    remote: Host, tmp_path: Path
) -> None:
    counted = tmp_path / "starts"
    assert remote.read("sh", "-c", _CUTTING, "cutting", str(counted), "2") == "said\n"
    assert _starts(counted) == 3
    counted.unlink()
    with pytest.raises(ConnectionLost):
        remote.read("sh", "-c", _CUTTING, "cutting", str(counted), "9")
    assert _starts(counted) == 3


def test_a_break_is_told_as_one_also_before_the_connection_counts_as_ended(
    remote: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine some time lies between the ends of the channels and of the connection."""
    unlink = OrderedChannel._unlink

    def slowly(channel: OrderedChannel) -> None:
        unlink(channel)
        time.sleep(1)

    monkeypatch.setattr(OrderedChannel, "_unlink", slowly)
    with pytest.raises(ConnectionLost):
        remote.run(Command(("sh", "-c", _CUTTING, "cutting", str(tmp_path / "starts"), "1")))


def test_what_may_change_something_is_not_done_twice(remote: Host, tmp_path: Path) -> None:
    counted = tmp_path / "starts"
    with pytest.raises(ConnectionLost):
        remote.run(Command(("sh", "-c", _CUTTING, "cutting", str(counted), "1")))
    assert _starts(counted) == 1
