"""Troubles between servers that replicate: lag, broken streams, revived servers, stale metadata."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.postgres import PostgresNode

_NOWHERE = "host=127.0.0.1 port=1 user=repmgr connect_timeout=1"

# As `restart: always` does: whatever ended it, and however often. A file says that it may not.
# What is started must not keep the lock (-o): a fence waits for a start that is under way.
_REVIVE = """
trap 'exit 0' TERM
while :; do
    flock -o "$1.lock" sh -c '
        [ -e "$1" ] || eval "$2" >/dev/null 2>&1 || eval "$3" >/dev/null 2>&1
    ' revive "$@"
    sleep 0.1
done
"""


@contextmanager
def replay_paused(standby: PostgresNode) -> Iterator[None]:
    """Pause replay on a standby: it receives, and shows nothing of it."""
    standby.psql("SELECT pg_wal_replay_pause()")
    paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
    processes.until(lambda: standby.psql(paused) == "t", f"replay of {standby.name} is paused")
    try:
        yield
    finally:
        if standby.is_running() and standby.psql("SELECT pg_is_in_recovery()") == "t":
            standby.psql("SELECT pg_wal_replay_resume()")


@contextmanager
def apply_delayed(standby: PostgresNode, delay: str = "1h") -> Iterator[None]:
    """Let a standby replay each commit only after a delay."""
    with _setting(standby, "recovery_min_apply_delay", delay):
        yield


@contextmanager
def cut_off(*standbys: PostgresNode) -> Iterator[None]:
    """Let standbys receive nothing more: what is committed from here on, they do not have."""
    with _each(standbys, "primary_conninfo", _NOWHERE):
        none = "SELECT count(*) = 0 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        what = "the standbys are cut off"
        processes.until(lambda: all(node.psql(none) == "t" for node in standbys), what)
        yield


@contextmanager
def _each(nodes: Sequence[PostgresNode], name: str, value: str) -> Iterator[None]:
    if not nodes:
        yield
        return
    with _setting(nodes[0], name, value), _each(nodes[1:], name, value):
        yield


@contextmanager
def _setting(node: PostgresNode, name: str, value: str) -> Iterator[None]:
    """Change a setting; put back at the end, unless somebody else has changed it since."""
    ask = f"SELECT current_setting('{name}')"
    before = node.psql(ask)
    _set(node, name, value)
    changed = node.psql(ask)
    try:
        yield
    finally:
        if node.is_running() and node.psql(ask) == changed:
            _set(node, name, before)


def _set(node: PostgresNode, name: str, value: str) -> None:
    ask = f"SELECT current_setting('{name}')"
    quoted = value.replace("'", "''")
    before = node.psql(ask)
    node.psql(f"ALTER SYSTEM SET {name} = '{quoted}'")
    node.reload()
    if before != value:
        processes.until(lambda: node.psql(ask) != before, f"{node.name} has read {name}")


@contextmanager
def supervised(node: PostgresNode) -> Iterator[Path]:
    """Start the server again whenever it is down, as a container's `restart: always` does.

    Yields the path of a file: while it exists, the server is left down. It is what a fence makes.
    """
    pg_ctl = shlex.join([str(node.bin_directory / "pg_ctl"), "-D", str(node.data_directory)])
    log = shlex.quote(str(node.directory / "log" / "start.log"))
    hold = node.directory / "held"
    with revived(
        f"{pg_ctl} status",
        f"{pg_ctl} -w -t 20 -l {log} start",
        hold=hold,
        user="postgres",
        mark=node.host.lab,
    ):
        yield hold


@contextmanager
def revived(running: str, start: str, *, hold: Path, user: str, mark: str) -> Iterator[None]:
    """Run the shell line `start` whenever the line `running` fails, and no file `hold` exists."""
    argv = ("runuser", "-u", user, "--", "sh", "-c", _REVIVE, "revive", str(hold), running, start)
    Path(f"{hold}.lock").touch()
    process = subprocess.Popen(
        argv,
        cwd="/",
        env=processes.environment(user, mark, {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        if process.poll() is not None:
            raise LabError("the supervisor has ended before its block")
    finally:
        processes.end([pid for pid in processes.children(process.pid) if _is_shell(pid)])
        process.terminate()
        process.wait(10)


def _is_shell(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() in {"sh", "sleep", "pg_ctl", "flock"}
    except OSError:
        return False


def orphan_slot(node: PostgresNode, name: str = "repmgr_slot_99") -> str:
    """Leave a slot that nobody uses, and that holds WAL back; return its name."""
    node.psql(f"SELECT pg_create_physical_replication_slot('{name}', true)")
    return name


def drop_slot(primary: PostgresNode, name: str) -> None:
    """Drop a slot; its standby was stopped, and its walsender may need a moment to hear of that."""
    free = f"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{name}'"
    processes.until(lambda: primary.psql(free) == "t", f"nobody uses {name}")
    primary.psql(f"SELECT pg_drop_replication_slot('{name}')")


def ghost(primary: PostgresNode, number: int = 99) -> int:
    """Leave a node in repmgr's metadata that does not exist; return its id."""
    primary.psql(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, active, node_name, type, location, "
        "priority, conninfo, repluser, slot_name, config_file) "
        f"SELECT {number}, node_id, true, 'ghost', 'standby', 'default', 100, "
        "'host=127.0.0.1 port=1 user=repmgr dbname=repmgr connect_timeout=1', 'repmgr', "
        f"'repmgr_slot_{number}', '/etc/repmgr.conf' "
        "FROM repmgr.nodes WHERE type = 'primary' AND active",
        database="repmgr",
    )
    return number


def forgotten(primary: PostgresNode, node: PostgresNode) -> None:
    """Remove a standby from repmgr's metadata although it streams."""
    primary.psql(f"DELETE FROM repmgr.nodes WHERE node_name = '{node.name}'", database="repmgr")


def inactive(primary: PostgresNode, node: PostgresNode) -> None:
    """Let repmgr's metadata say that a node is out of service although it is not."""
    primary.psql(
        f"UPDATE repmgr.nodes SET active = false WHERE node_name = '{node.name}'",
        database="repmgr",
    )


def promoted_by_hand(node: PostgresNode) -> None:
    """Promote a standby behind everybody's back: the old primary and repmgr know nothing."""
    node.psql("SELECT pg_promote(true, 30)")


_FENCE = """\
#!/bin/sh
# Hold the server down, whatever would start it, and take its power away.
flock {hold}.lock touch {hold}
pid=$(head -n 1 {data}/postmaster.pid 2>/dev/null) || exit 0
kill -QUIT "$pid" 2>/dev/null || exit 0
for look in $(seq 600); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.05; done
exit 1
"""


def fence_command(node: PostgresNode) -> tuple[str, ...]:
    """Give a command for the worker that stops a server by force, without SSH, and holds it down.

    `supervised` respects it; starting the server by pg_ctl does not.
    """
    script = node.host.directory / "fence.sh"
    hold, data = node.directory / "held", node.data_directory
    script.write_text(_FENCE.format(hold=hold, data=data))
    return ("sh", str(script))
