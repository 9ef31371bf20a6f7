"""An application that inserts a row every 50 ms and writes down when it could and could not."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import psycopg

from tests.lab.client import Client

_TABLE = """
CREATE TABLE IF NOT EXISTS writer_rows (
    run text NOT NULL, number bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, number))"""


@dataclass
class Report:
    """What a writer has seen; times are seconds since the epoch, 0 for never.

    An outage runs from the last success before the first failure (or longest silence) to the
    first success after it.
    """

    run: str
    acknowledged: int = 0
    failed: int = 0
    last_success: float = 0
    last_success_before_failure: float = 0
    first_failure: float = 0
    first_success_after_failure: float = 0
    longest_gap: float = 0
    last_error: str = ""

    @property
    def outage(self) -> float:
        """Seconds from the last success before the first failure to the next success."""
        if not self.first_success_after_failure:
            return float("inf") if self.first_failure else 0.0
        return self.first_success_after_failure - self.last_success_before_failure


class Writer(Client):
    """Run the application beside a test: `with Writer(node.conninfo("shop")) as writer:`."""

    def __init__(self, conninfo: str, *, interval: float = 0.05) -> None:
        environment = {"WRITER_CONNINFO": conninfo, "WRITER_INTERVAL": str(interval)}
        super().__init__("tests.lab.writer", environment)

    def rows(self) -> int:
        """Count the rows that have been acknowledged so far."""
        return self.report().acknowledged

    def report(self) -> Report:
        """Give the last report."""
        text = self.file.read_text()
        return Report(**json.loads(text)) if text else Report("starting")

    def stop(self) -> Report:
        """End the writer after its current row; return its last report."""
        self.end()
        return self.report()


def main(file: Path) -> None:
    """Write until asked to end; a number is tried again until it has been acknowledged."""
    report = Report(run=f"{os.getpid()}-{time.time_ns()}")
    running = [True]

    def leave(number: int, frame: FrameType | None) -> None:
        running.clear()

    signal.signal(signal.SIGTERM, leave)
    connection: psycopg.Connection | None = None
    while running:
        try:
            connection = connection or _connect()
            _insert(connection, report)
            _succeeded(report)
        except psycopg.Error as error:
            _close(connection)
            connection = None
            _failed(report, error)
        _save(report, file)
        time.sleep(float(os.environ["WRITER_INTERVAL"]))
    _close(connection)


def _connect() -> psycopg.Connection:
    connection = psycopg.connect(
        os.environ["WRITER_CONNINFO"],
        autocommit=True,
        connect_timeout=2,
        tcp_user_timeout=2000,
        application_name="writer",
    )
    connection.execute(_TABLE)
    return connection


def _insert(connection: psycopg.Connection, report: Report) -> None:
    connection.execute(
        "INSERT INTO writer_rows (run, number) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (report.run, report.acknowledged + 1),
    )


def _succeeded(report: Report) -> None:
    now = time.time()
    if report.first_failure and not report.first_success_after_failure:
        report.first_success_after_failure = now
    if report.last_success:
        report.longest_gap = max(report.longest_gap, now - report.last_success)
    report.last_success = now
    report.acknowledged += 1


def _failed(report: Report, error: psycopg.Error) -> None:
    report.failed += 1
    report.last_error = str(error)
    if not report.first_failure:
        report.first_failure = time.time()
        report.last_success_before_failure = report.last_success


def _close(connection: psycopg.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _save(report: Report, file: Path) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(report)))
    draft.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
