"""Prove that nothing changed: files, WAL, what sshd ran, what PostgreSQL was asked."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.lab import processes
from tests.lab.postgres import PostgresNode
from tests.lab.sshd import Entry

_OWN_LIFE = re.compile(
    r"^(pg_wal|pg_xact|pg_subtrans|pg_multixact|pg_stat|pg_stat_tmp|pg_logical"
    r"|pg_notify|pg_dynshmem|pg_replslot)/|pgsql_tmp|pg_internal\.init|_(fsm|vm)$"
    r"|^pg_snapshots|^current_logfiles|^postmaster\."
)
"""Files that a server which only reads writes by itself."""

_OWN_WAL = re.compile(r"RUNNING_XACTS|CHECKPOINT_ONLINE|FPI_FOR_HINT|PRUNE|FPW_CHANGE")
"""Records that a server writes by itself, or for a read."""

_READ = re.compile(
    r"^\s*(select|show|values|table|with|explain(?!\s+(\(\s*)?analy)|begin|start\s+transaction"
    r"|commit|rollback|end|set|reset|discard|declare|fetch|close|prepare|identify_system"
    r"|read_replication_slot|timeline_history)\b",
    re.IGNORECASE,
)
_WRITE_INSIDE = re.compile(
    r"\b(insert\s+into|update\s+\w+\s+set|delete\s+from|merge\s+into|into\s+table|pg_reload_conf"
    r"|pg_switch_wal|pg_create_\w+|pg_drop_\w+|pg_promote|pg_terminate_backend|pg_cancel_backend"
    r"|pg_backup_start|pg_rotate_logfile|pg_wal_replay_\w+|nextval|setval|lo_\w*(put|create"
    r"|unlink|from_bytea|import))\b",
    re.IGNORECASE,
)
_READERS = re.compile(
    r"^\s*(?:env (?:[A-Z_]+=[\w.-]*\s+)+)?"
    r"(test|\[|stat|ls|cat|head|df|du|hostname|id|uname|command|which|readlink|realpath"
    r"|find(?!.*-(delete|exec))|findmnt|mountpoint|nproc|free|true|echo|getent|sha256sum|ps|p?grep"
    r"|date|locale -a|sed -n(?!.*\s-i)"
    r"|pg_controldata|pg_isready|pg_verifybackup|pg_config|systemctl (is-\w+|show|status|cat)"
    r"|docker(-compose| compose)? (ps|inspect|images|config|version)|monit (summary|status)"
    r"|\S*/pg_(controldata|isready|verifybackup|config|waldump)|\S*(postgres|pg_dumpall) --version"
    r"|\S*/pg_(dump|dumpall|restore) --version"
    r"|\S*repmgr\b.*(--dry-run|cluster show|node (check|status)|service status|--version)"
    r"|\S*sftp-server)(\s|$)"
)

_MARK = "written down up to here"


@dataclass
class Observation:
    """What happened in the block; complete when it has ended."""

    commands: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    statements: dict[str, tuple[str, ...]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Snapshot:
    running: bool
    beside: frozenset[str]
    files: dict[str, tuple[int, int]]
    lsn: str
    commands: int
    log_size: int


@contextmanager
def unchanged(*nodes: PostgresNode, scripts: Collection[str] = ()) -> Iterator[Observation]:
    """Compare nodes before and after; raise AssertionError that names each change.

    `scripts` are texts of `sh -c` that a person has read and found only to read.
    """
    observation = Observation()
    before = [_snapshot(node) for node in nodes]
    yield observation
    for node, old in zip(nodes, before, strict=True):
        _observe(node, old, observation, scripts)
    assert not observation.changes, "changed:\n" + "\n".join(observation.changes)


def _snapshot(node: PostgresNode) -> _Snapshot:
    running = node.is_running()
    lsn = _position(node) if running else ""
    return _Snapshot(
        running,
        frozenset(_beside(node)),
        _files(node.data_directory),
        lsn,
        len(node.host.journal),
        _logged(node),
    )


def _observe(
    node: PostgresNode, old: _Snapshot, into: Observation, scripts: Collection[str]
) -> None:
    statements = _statements(node, old.log_size, _logged(node))
    new = _snapshot(node)
    commands = node.host.journal[old.commands :]
    into.commands[node.name], into.statements[node.name] = commands, statements
    found = [
        f"command {entry.command!r}"
        for entry in commands
        if not is_read(entry.command) and not _is_one_of(scripts, entry.command)
    ]
    found += [f"statement {text!r}" for text in statements if not is_read_statement(text)]
    found += [f"file {path}" for path in sorted(new.beside ^ old.beside)]
    names = new.files.keys() | old.files.keys()
    found += [f"file {n}" for n in sorted(names) if new.files.get(n) != old.files.get(n)]
    found += [] if new.running == old.running else [f"running: {old.running} -> {new.running}"]
    found += _wal_between(node, old.lsn, new.lsn) if old.lsn and new.lsn else []
    into.changes += [f"{node.name}: {change}" for change in found]


def is_read(command: str) -> bool:
    """Tell whether a shell command is one of those known to change nothing."""
    sql = _sql(command)
    if sql:
        return is_read_statement(sql)
    parts = re.split(r"\s*(?:&&|\|\||;|\|)\s*", re.sub(r"2>(&1|/dev/null)", "", command))
    return ">" not in "".join(parts) and all(_READERS.match(part) for part in parts)


def _sql(command: str) -> str:
    """Give the statement of a psql line, which may set its environment and user first."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    before = ("env", "sudo", "runuser", "-n", "-u", "postgres", "--")
    while words and (words[0] in before or re.fullmatch(r"[A-Z_]+=[\w =-]*", words[0])):
        words = words[1:]
    if not words or Path(words[0]).name != "psql" or words.count("-c") != 1:
        return ""
    return words[words.index("-c") + 1] if words[-1] != "-c" else ""


def _is_one_of(scripts: Collection[str], command: str) -> bool:
    """Tell whether a command is one of the scripts, or a psql whose statements are in the log."""
    words = shlex.split(command)
    if words[-2:] == ["-f", "-"] and any(Path(word).name == "psql" for word in words[:4]):
        return bool(scripts)
    return words[:2] == ["sh", "-c"] and words[2] in scripts


def is_read_statement(statement: str) -> bool:
    """Tell whether an SQL statement only reads."""
    return bool(_READ.match(statement)) and not _WRITE_INSIDE.search(statement)


def _files(directory: Path) -> dict[str, tuple[int, int]]:
    """List a data directory: of configuration and control files also size and mtime."""
    found = {}
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if path.is_file() and not _OWN_LIFE.search(name):
            exact = path.parent == directory and path.suffix in {".conf", ".signal"}
            found[name] = _size_and_time(path) if exact else (0, 0)
    return found


def _size_and_time(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _beside(node: PostgresNode) -> list[str]:
    parts = (node.directory, *node.tablespaces.values(), node.directory / "tablespaces")
    found = [path for part in parts if part.is_dir() for path in part.iterdir()]
    return [f"{path}{_written(path)}" for path in found]


def _written(path: Path) -> str:
    """Tell size and age of a configuration file; of anything else its name is enough."""
    if path.suffix != ".conf" or not path.is_file():
        return ""
    stat = path.stat()
    return f" ({stat.st_size} bytes, {stat.st_mtime_ns})"


def _position(node: PostgresNode) -> str:
    return node.psql(
        "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_insert_lsn() END"
    )


def _wal_between(node: PostgresNode, start: str, end: str) -> list[str]:
    """Name the WAL records between two positions that a read does not explain."""
    if start == end:
        return []
    node.psql("CHECKPOINT")  # the end is written to its file
    files = node.psql(f"SELECT pg_walfile_name('{start}'), pg_walfile_name('{end}')").split("|")
    where = ("-p", node.data_directory / "pg_wal", "-s", start, "-e", end)
    text = node.tool("pg_waldump", *where, *files)
    return [f"WAL {line}" for line in text.splitlines() if not _OWN_WAL.search(line)]


def _journal(node: PostgresNode) -> Path:
    return node.log.with_suffix(".json")


def _logged(node: PostgresNode) -> int:
    """Give where the log of a server ends, with all in it that it was asked so far.

    The server hands its lines to a process that writes them, and does not wait for it.
    """
    if not _journal(node).exists():
        return 0
    before = _journal(node).stat().st_size
    if node.is_running():
        mark = f"{_MARK}: {uuid4().hex}"
        node.psql(f"SELECT '{mark}'")
        written = lambda: mark.encode() in _lines(node, before)  # noqa: E731
        processes.until(written, f"the log of {node.name} is written")
    return before + len(_lines(node, before))


def _lines(node: PostgresNode, start: int) -> bytes:
    """Read the whole lines of a log that follow a position."""
    with _journal(node).open("rb") as log:
        log.seek(start)
        text = log.read()
    return text[: text.rfind(b"\n") + 1]


def _statements(node: PostgresNode, start: int, end: int) -> tuple[str, ...]:
    """Read what the server was asked between two positions of its log."""
    if not _journal(node).exists():
        return ()
    lines = _lines(node, start)[: end - start].decode().split("\n")[:-1]
    messages = [json.loads(line).get("message", "") for line in lines]
    pattern = re.compile(r"^(?:statement|execute [^:]*|received replication command): (.*)$", re.S)
    found = (match[1] for message in messages if (match := pattern.match(message)))
    return tuple(statement for statement in found if _MARK not in statement)
