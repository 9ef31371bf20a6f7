"""One session of a load, through libpq: whoever waits in it learns when the load has stopped.

libpq sends without blocking, in small pieces, and every wait is a poll on the socket: so the other
threads run. (psycopg's own way copies a large piece again for each bit of it that is sent.)
"""

from __future__ import annotations

import re
import select
from threading import Event

import psycopg
from psycopg import pq

from runbook.errors import Unreachable
from runbook.logical.load.kinds import Settings

_PIECE = 64 << 10
_LOOK_MILLISECONDS = 200
_CANCEL_SECONDS = 5.0
_FINE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY)


class Stopped(Exception):
    """The load has stopped elsewhere."""


_VALUE = re.compile(r'".*"', re.DOTALL)
_OBJECTS = {
    "schema": pq.DiagnosticField.SCHEMA_NAME,
    "table": pq.DiagnosticField.TABLE_NAME,
    "column": pq.DiagnosticField.COLUMN_NAME,
    "constraint": pq.DiagnosticField.CONSTRAINT_NAME,
}


class SqlError(Exception):
    """PostgreSQL's answer to a statement that it refused.

    `message` is as it was said; `shown` and `detail` hold nothing of a row: that is nobody's
    business but the database's. Errors of data (SQLSTATE 22, 23) name the objects instead.
    """

    def __init__(self, result: pq.abc.PGresult) -> None:
        self.sqlstate = _field(result, pq.DiagnosticField.SQLSTATE)
        self.message = _field(result, pq.DiagnosticField.MESSAGE_PRIMARY)
        self.hint = _field(result, pq.DiagnosticField.MESSAGE_HINT)
        self.of_data = self.sqlstate[:2] in ("22", "23")
        in_message = self.sqlstate[:2] == "22"
        self.shown = _VALUE.sub('"..."', self.message) if in_message else self.message
        objects = [f"{what} {name}" for what, f in _OBJECTS.items() if (name := _field(result, f))]
        detail = _field(result, pq.DiagnosticField.MESSAGE_DETAIL)
        # A row of COPY follows the colon.
        context = _field(result, pq.DiagnosticField.CONTEXT).split("\n")[0].split(":")[0]
        told = [", ".join(objects) if self.of_data else detail, context]
        self.detail = "; ".join(filter(None, told))
        super().__init__(self.shown)


class Session:
    """A connection to one database."""

    def __init__(self, connection: psycopg.Connection, database: str, stopped: Event) -> None:
        self.database = database
        self._connection = connection
        self._pgconn = connection.pgconn
        self._stopped = stopped
        self._settings: dict[str, bytes] = {}

    def run(self, *statements: bytes) -> list[bytes]:
        """Run statements, all or none of them; give the tag of each.

        PostgreSQL refuses a text that it reads as more than one statement: what was judged as one
        is run as one, wherever it finds the end of a string or a comment.
        Ref.: PostgreSQL documentation, Extended Query; libpq, Pipeline Mode
        """
        try:
            if len(statements) > 1:
                return self._pipelined(statements)
            self._pgconn.exit_pipeline_mode()
            self._pgconn.send_query_params(statements[0], None)
            self._flush()
            return self._results()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error

    def settle(self, settings: Settings) -> None:
        """Have these settings in force."""
        lacking = {n: sql for n, sql in settings.items() if self._settings.get(n) != sql}
        if lacking:
            self.run(*lacking.values())
            self._settings |= lacking

    def put(self, data: memoryview) -> None:
        """Send rows of a COPY that `run` has begun."""
        try:
            for start in range(0, len(data), _PIECE):
                self._pgconn.put_copy_data(data[start : start + _PIECE])
                self._flush()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error

    def end_copy(self) -> int:
        """End a COPY and give the number of its rows."""
        try:
            self._pgconn.put_copy_end()
            self._flush()
            tags = self._results()
        except psycopg.OperationalError as error:
            raise self._lost(error) from error
        return int(tags[-1].split()[-1])

    def close(self) -> None:
        """Hang up; what still runs is cancelled first."""
        if self._pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            try:
                self._connection.cancel_safe(timeout=_CANCEL_SECONDS)
            except psycopg.Error:
                self._pgconn.finish()
        self._connection.close()

    def _pipelined(self, statements: tuple[bytes, ...]) -> list[bytes]:
        self._pgconn.enter_pipeline_mode()
        for text in statements:
            self._pgconn.send_query_params(text, None)
        self._pgconn.pipeline_sync()
        self._flush()
        return self._results(pipelined=True)

    def _results(self, *, pipelined: bool = False) -> list[bytes]:
        """Give the tags up to the end of one statement, or of a pipeline: its commit may fail."""
        tags: list[bytes] = []
        failed: SqlError | None = None
        while True:
            while self._pgconn.is_busy():
                self._wait(select.POLLIN)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None and pipelined and self._pgconn.status == pq.ConnStatus.OK:
                continue
            if result is None or result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if result.status == pq.ExecStatus.COPY_IN:
                return tags
            if result.status in _FINE:
                tags.append(result.command_status or b"")
            elif failed is None:
                failed = SqlError(result)
        if failed is not None:
            if self._pgconn.status != pq.ConnStatus.OK and not failed.sqlstate:
                raise self._lost(failed)
            raise failed
        return tags

    def _flush(self) -> None:
        while self._pgconn.flush():
            if self._wait(select.POLLIN | select.POLLOUT) & select.POLLIN:
                self._pgconn.consume_input()

    def _wait(self, events: int) -> int:
        poller = select.poll()
        poller.register(self._pgconn.socket, events)
        while True:
            if self._stopped.is_set():
                raise Stopped
            if ready := poller.poll(_LOOK_MILLISECONDS):
                return ready[0][1]

    def _lost(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the connection to database {self.database} was lost during the load",
            detail=str(error).strip(),
            hint="Look into the server's log at this minute. The load is not complete.",
        )


def _field(result: pq.abc.PGresult, field: pq.DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode(errors="replace")
