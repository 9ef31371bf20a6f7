"""One run per cluster, whichever worker and whichever login it comes from."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from runbook.errors import Refused
from runbook.hosts import Host, Ssh
from runbook.lock import _HOLD, holder_of, host_lock_path, only_run

HERE = Host(name="here")
PATIENCE = 0.2
"""For holders that do not end, in seconds: a second chance would change nothing."""

HOLDER = """
import sys, time
from pathlib import Path
from runbook.hosts import Host
from runbook.lock import only_run
with only_run(Path(sys.argv[1]), sys.argv[2], [Host(name="here")], holder="first run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def cluster() -> object:
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    Path(host_lock_path(HERE, name)).unlink(missing_ok=True)


def take(folder: Path, cluster: str) -> None:
    with only_run(folder, cluster, [HERE], holder="b", patience=PATIENCE):
        return


def test_a_worker_elsewhere_is_kept_out_by_the_lock_on_the_host(
    tmp_path: Path, cluster: str
) -> None:
    elsewhere = pytest.raises(Refused, match="another run holds")
    with only_run(tmp_path / "one", cluster, [HERE], holder="a"), elsewhere:
        take(tmp_path / "two", cluster)
    with only_run(tmp_path / "two", cluster, [HERE], holder="b"):
        assert holder_of(tmp_path / "two", cluster).startswith("b since")
    assert holder_of(tmp_path / "two", cluster) == ""


def test_a_worker_that_knows_the_host_by_an_older_name_is_kept_out_where_the_cluster_leaves_it(
    tmp_path: Path, cluster: str
) -> None:
    new, was = Host(name="new"), Host(name="was")
    try:
        with only_run(tmp_path / "one", cluster, [HERE], holder="a"):
            with only_run(tmp_path / "two", cluster, [new], holder="b"):
                pass
            with pytest.raises(Refused, match="another run holds") as told:
                take_over(tmp_path / "two", cluster, [new], [was])
            assert host_lock_path(HERE, cluster) in told.value.detail
        take_over(tmp_path / "two", cluster, [new], [was])
    finally:
        for host in (new, was):
            Path(host_lock_path(host, cluster)).unlink(missing_ok=True)


def test_the_run_of_a_cluster_whose_name_goes_on_is_never_ended(
    tmp_path: Path, cluster: str
) -> None:
    """Its lock looks like one of this cluster on a host of another name."""
    was = Host(name="was")
    try:
        with only_run(tmp_path, f"{cluster}-db", [HERE], holder="a"):
            with pytest.raises(Refused, match="another run holds"):
                take_over(tmp_path, cluster, [HERE], [was])
            with pytest.raises(Refused, match="another run holds"):
                take(tmp_path / "two", f"{cluster}-db")
    finally:
        for path in (host_lock_path(HERE, f"{cluster}-db"), host_lock_path(was, cluster)):
            Path(path).unlink(missing_ok=True)


def test_who_has_no_name_ends_nobody_without_one(cluster: str) -> None:
    argv = ["sh", "-c", _HOLD, "hold", host_lock_path(HERE, cluster), "", str(PATIENCE)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        assert subprocess.run(argv, input=b"", check=False).returncode == 75
        assert first.poll() is None


def test_a_host_that_the_cluster_leaves_hinders_nobody_when_it_cannot_be_locked(
    tmp_path: Path, cluster: str
) -> None:
    silent = Host(name="silent", way=Ssh(address="127.0.0.1", port=1))
    take_over(tmp_path, cluster, [HERE], [silent])
    other = Path(host_lock_path(Host(name="other"), cluster))
    other.symlink_to("/nowhere/lock")
    try:
        take_over(tmp_path, cluster, [HERE], [Host(name="other")])
    finally:
        other.unlink()


def take_over(folder: Path, cluster: str, hosts: list[Host], former: list[Host]) -> None:
    with only_run(folder, cluster, hosts, holder="b", former=former, patience=PATIENCE):
        return


def test_a_lock_that_is_freed_a_moment_later_is_waited_for(tmp_path: Path, cluster: str) -> None:
    argv = ["sh", "-c", _HOLD, "hold", host_lock_path(HERE, cluster), "", str(PATIENCE)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        end = threading.Timer(2 * PATIENCE, first.stdin.close)
        end.start()
        with only_run(tmp_path, cluster, [HERE], holder="b"):
            end.join()
        assert first.wait(10) == 0


def test_the_locks_of_a_killed_holder_are_free_at_once(tmp_path: Path, cluster: str) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path), cluster]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match="first run since"):
            take(tmp_path, cluster)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 5
    while True:
        try:
            with only_run(tmp_path, cluster, [HERE], holder="b"):
                return
        except Refused:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_two_names_of_one_machine_do_not_stand_in_their_own_way(
    tmp_path: Path, cluster: str
) -> None:
    other = Host(name="the same machine")
    with only_run(tmp_path, cluster, [HERE, other], holder="a"):
        pass
    Path(host_lock_path(other, cluster)).unlink()


def test_a_session_that_outlived_its_run_is_ended_by_its_own_worker_alone(
    tmp_path: Path, cluster: str
) -> None:
    take(tmp_path / "one", cluster)
    path = host_lock_path(HERE, cluster)
    worker = f"{socket.gethostname()}-{(tmp_path / 'one' / 'worker.id').read_text()}"
    argv = ["sh", "-c", _HOLD, "hold", path, worker, str(PATIENCE)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        assert left.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match="another worker holds it"):
            take(tmp_path / "two", cluster)
        assert left.poll() is None
        take(tmp_path / "one", cluster)
        assert left.wait(10) == -signal.SIGTERM
