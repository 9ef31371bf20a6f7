"""A client that commits a numbered row every 20 ms, reconnects, and writes down every answer."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from tests.lab.client import Client
from tests.lab.postgres import PostgresNode

TABLE = """
CREATE TABLE IF NOT EXISTS counted_rows (
    run text NOT NULL, number bigint NOT NULL, PRIMARY KEY (run, number))"""
"""Made once, before any client starts, so that no client needs to be allowed to."""

_INSERT = "INSERT INTO counted_rows VALUES (%s, %s) RETURNING pg_current_wal_insert_lsn()"


@dataclass(frozen=True)
class Answer:
    """What came back for a row: when the client knew it (epoch seconds), and where.

    `lsn` lies before the row's commit record; 0 where the row was not acknowledged: it may be
    there all the same, when only the answer was lost.
    """

    number: int
    at: float
    lsn: int = 0
    error: str = ""


@dataclass(frozen=True)
class History:
    """Everything that a client was told, in order."""

    run: str
    answers: tuple[Answer, ...]

    @property
    def acknowledged(self) -> tuple[Answer, ...]:
        """The rows whose commit was acknowledged: these the client relies on."""
        return tuple(answer for answer in self.answers if answer.lsn)

    @property
    def failed(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.answers if not answer.lsn)

    @property
    def outage(self) -> float:
        """Seconds of the longest time without a success; infinite when none came back."""
        times = [answer.at for answer in self.acknowledged]
        if not times or (self.answers and not self.answers[-1].lsn):
            return float("inf")
        return max((later - at for at, later in itertools.pairwise(times)), default=0.0)

    def after(self, lsn: int) -> set[int]:
        """Number the rows acknowledged before the first failure that lie after a position.

        With the position where the new primary forked (`judge.fork`), these are what a failover
        may lose: neither more nor less.
        """
        promised = itertools.takewhile(lambda answer: answer.lsn, self.answers)
        return {answer.number for answer in promised if answer.lsn >= lsn}

    def lost(self, node: PostgresNode, *, database: str = "shop") -> set[int]:
        """Number the acknowledged rows that a server does not have."""
        query = f"SELECT number FROM counted_rows WHERE run = '{self.run}'"
        there = {int(line) for line in node.psql(query, database=database).split()}
        return {answer.number for answer in self.acknowledged} - there


def read_history(file: Path) -> History:
    """Read a client's journal, also while it writes; of several runs in it, the last."""
    run, answers = "", list[Answer]()
    for line in file.read_text().splitlines(keepends=True):
        words = line.rstrip("\n").split(" ", 3)
        if not line.endswith("\n"):
            break
        if words[0] == "run":
            run, answers = words[1], []
            continue
        known = words[0] == "yes"
        lsn, error = (lsn_of(words[3]), "") if known else (0, words[3])
        answers.append(Answer(int(words[1]), float(words[2]), lsn, error))
    return History(run, tuple(answers))


def lsn_of(text: str) -> int:
    """Make a number of a position such as 0/3000060."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def anywhere(nodes: Sequence[PostgresNode], database: str = "shop") -> str:
    """Give a connection string for whichever server accepts writes."""
    hosts = ",".join(node.host.address for node in nodes)
    ports = ",".join(str(node.port) for node in nodes)
    return (
        f"host={hosts} port={ports} dbname={database} user=postgres "
        f"password={nodes[0].password} target_session_attrs=read-write connect_timeout=2"
    )


class CountingWriter(Client):
    """Run the client beside a test: `with CountingWriter(anywhere(nodes)) as writer:`."""

    def __init__(self, conninfo: str, *, interval: float = 0.02) -> None:
        environment = {"COUNTING_CONNINFO": conninfo, "COUNTING_INTERVAL": str(interval)}
        super().__init__("tests.lab.counting", environment)

    @property
    def history(self) -> History:
        return read_history(self.file)

    def rows(self) -> int:
        """Count the rows that have been acknowledged so far."""
        return len(self.history.acknowledged)

    def stop(self) -> History:
        """End the client after its current row; give what it was told."""
        self.end()
        return self.history


def main(file: Path) -> None:
    """Write until asked to end; every attempt has a number of its own."""
    conninfo, pause = _conninfo(), float(os.environ.get("COUNTING_INTERVAL", "0.02"))
    run = f"{os.getpid()}-{time.time_ns()}"
    with file.open("a", buffering=1) as journal:
        journal.write(f"run {run}\n")
        for answer in _answers(conninfo, run):
            journal.write(answer)
            time.sleep(pause)


def _answers(conninfo: str, run: str) -> Iterator[str]:
    connection: psycopg.Connection | None = None
    running = [True]

    def leave(number: int, frame: FrameType | None) -> None:
        running.clear()

    signal.signal(signal.SIGTERM, leave)
    for number in itertools.count(1):
        try:
            connection = connection or _connect(conninfo)
            row = connection.execute(_INSERT, (run, number)).fetchone()
            yield f"yes {number} {time.time():.6f} {row[0] if row else ''}\n"
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            connection = None
            said = " ".join(str(error).split()) or type(error).__name__
            yield f"no {number} {time.time():.6f} {said}\n"
        if not running:
            return


def _connect(conninfo: str) -> psycopg.Connection:
    return psycopg.connect(
        conninfo, autocommit=True, tcp_user_timeout=2000, application_name="counting"
    )


def _conninfo() -> str:
    """Take the connection string of the environment, with the address from a file if it says so.

    The file is read here alone, at the start: a container keeps the environment it was made with.
    """
    conninfo = os.environ["COUNTING_CONNINFO"]
    file = os.environ.get("COUNTING_SETTINGS")
    if not file:
        return conninfo
    found = re.search(r"^\s*DATABASE_HOST[:=]\s*[\"']?([^\s\"']+)", Path(file).read_text(), re.M)
    if found is None:
        raise SystemExit(f"{file} has no DATABASE_HOST")
    return f"{conninfo} host={found[1]}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
