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

from runbook.errors import LockLost, Refused
from runbook.host_lock import _HOLD, host_lock_path
from runbook.hosts import Host, Ssh
from runbook.lock import holder_of, only_run, taken_again

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
    remove(HERE, name)


def remove(host: Host, cluster: str) -> None:
    """Remove the lock of a cluster, and the marks of its runs."""
    path = Path(host_lock_path(host, cluster))
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


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
            remove(host, cluster)


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
        remove(HERE, f"{cluster}-db")
        remove(was, cluster)


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
    remove(other, cluster)


def test_a_session_that_outlived_its_run_is_ended_by_its_own_worker_alone(
    tmp_path: Path, cluster: str
) -> None:
    take(tmp_path / "one", cluster)
    path = host_lock_path(HERE, cluster)
    worker = f"{socket.gethostname()}-{(tmp_path / 'one' / 'worker.id').read_text()}"
    argv = ["sh", "-c", _HOLD, "hold", path, worker, str(PATIENCE)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        assert left.stdout.readline().startswith(b"held ")
        with pytest.raises(Refused, match="another worker holds it"):
            take(tmp_path / "two", cluster)
        assert left.poll() is None
        take(tmp_path / "one", cluster)
        assert left.wait(10) == -signal.SIGTERM


def holding(pid: int, path: str) -> list[Path]:
    """Give the sessions that this process has started to hold a lock."""
    return [
        each.parent
        for each in Path("/proc").glob("[0-9]*/stat")
        if each.read_text().rpartition(")")[2].split()[1] == str(pid)
        and (each.parent / "fd/9").exists()
        and (each.parent / "fd/9").samefile(path)
    ]


def lose(cluster: str) -> None:
    """End the session that holds the lock for this process."""
    (session,) = holding(os.getpid(), host_lock_path(HERE, cluster))
    os.kill(int(session.name), signal.SIGKILL)
    time.sleep(0.2)


def test_a_lock_that_was_lost_is_taken_again_once(tmp_path: Path, cluster: str) -> None:
    with only_run(tmp_path / "one", cluster, [HERE], holder="a", patience=PATIENCE):
        assert list(taken_again()) == []
        lose(cluster)
        (told,) = taken_again()
        assert "was lost" in told
        assert list(taken_again()) == []
        with pytest.raises(Refused):
            take(tmp_path / "two", cluster)
    assert list(taken_again()) == []


def test_a_lock_that_another_run_has_had_is_lost_for_good_and_free_for_all(
    tmp_path: Path, cluster: str
) -> None:
    with only_run(tmp_path / "one", cluster, [HERE], holder="a", patience=PATIENCE):
        lose(cluster)
        take(tmp_path / "two", cluster)
        for _ in range(2):
            with pytest.raises(LockLost, match="no longer this run's alone") as lost:
                list(taken_again())
            assert "another run has held it" in lost.value.detail
        take(tmp_path / "two", cluster)


def test_a_lock_that_another_run_holds_is_lost(tmp_path: Path, cluster: str) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "two"), cluster]
    with only_run(tmp_path / "one", cluster, [HERE], holder="a", patience=PATIENCE):
        lose(cluster)
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            with pytest.raises(LockLost, match="no longer this run's alone") as lost:
                list(taken_again())
            assert "another worker holds it" in lost.value.detail
            process.kill()


def test_a_mark_that_is_gone_is_no_proof_that_nobody_was_in(tmp_path: Path, cluster: str) -> None:
    with only_run(tmp_path / "one", cluster, [HERE], holder="a", patience=PATIENCE):
        lose(cluster)
        remove(HERE, cluster)
        with pytest.raises(LockLost, match="no longer this run's alone") as lost:
            list(taken_again())
        assert "is not known" in lost.value.detail


def test_the_mark_of_another_login_counts_only_when_it_is_new(tmp_path: Path, cluster: str) -> None:
    path = host_lock_path(HERE, cluster)
    Path(f"{path}-4711").symlink_to("before")
    with only_run(tmp_path / "one", cluster, [HERE], holder="a", patience=PATIENCE):
        lose(cluster)
        assert len(list(taken_again())) == 1
        lose(cluster)
        Path(f"{path}-4711").unlink()
        Path(f"{path}-4711").symlink_to("another")
        with pytest.raises(LockLost, match="no longer this run's alone") as lost:
            list(taken_again())
        assert lost.value.detail.endswith("another run has held it on here: another")


def test_a_host_that_has_gone_meanwhile_stops_nothing(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Ssh(address="127.0.0.1", port=1)
    here = Host(name="here")
    with only_run(tmp_path, cluster, [here], holder="a", patience=PATIENCE):
        lose(cluster)
        monkeypatch.setitem(here.__dict__, "way", silent)
        assert list(taken_again()) == []
        monkeypatch.undo()
        deadline, told = time.monotonic() + 20, list(taken_again())
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
            told = list(taken_again())
        assert len(told) == 1
