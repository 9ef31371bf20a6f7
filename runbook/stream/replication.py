"""A replication connection through libpq that never blocks the interpreter.

Every wait is a poll on the socket: other threads run, Ctrl-C works, another thread may cancel.
(libpq's blocking `PQgetCopyData` holds the interpreter lock for as long as the server is silent.)
Ref.: https://www.postgresql.org/docs/current/protocol-replication.html
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from runbook.errors import CheckFailed, CommandFailed, Damaged, SettingsError, Unreachable

_CANCEL_GRACE = 10.0
_DATA_CORRUPTED = ("XX001", "XX002")
_TURNED_AWAY = re.compile(
    r"authentication|pg_hba|password|permission|privilege|superuser|role .* not "
)
_Row = tuple[str | None, ...]


class ServerError(CommandFailed):
    """PostgreSQL refused or stopped a replication command; `sqlstate` is its error code."""

    def __init__(
        self, message: str, *, detail: str = "", hint: str = "", sqlstate: str = ""
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.sqlstate = sqlstate


class Replication:
    """One replication connection.

    `conninfo` may hold a password: it goes to libpq in memory, never into an argv.
    `connect_timeout` and `stall_timeout` are seconds; a stall is silence while data should flow.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        application_name: str = "pg-runbooks",
        connect_timeout: float = 10,
        stall_timeout: float | None = None,
    ) -> None:
        self._cancelled = threading.Event()
        self._stall = stall_timeout
        self.warnings: list[str] = []
        self._pgconn = pq.PGconn.connect_start(_replicating(conninfo, application_name))
        try:
            self._drive(self._pgconn.connect_poll, lambda: self._pgconn.socket, connect_timeout)
            if self._pgconn.status != pq.ConnStatus.OK:
                raise _no_connection(self._pgconn)
        except BaseException:
            self._pgconn.finish()
            raise
        self._pgconn.notice_handler = self._notice

    @property
    def server_version(self) -> int:
        """As PostgreSQL's server_version_num, such as 150018."""
        return self._pgconn.server_version

    def query(self, command: str, limit: float | None = None) -> list[_Row]:
        """Run a command that answers with one set of rows; raises `ServerError`.

        Unreachable after `limit` seconds of silence; without one it waits for as long as it takes.
        """
        self.send(command)
        rows = self.rows(limit)
        self.end()
        return rows

    def send(self, command: str) -> None:
        """Send a command whose results are read one by one."""
        self._pgconn.send_query(command.encode())

    def rows(self, limit: float | None = None) -> list[_Row]:
        """Read the next result, which must be rows."""
        result = self._result(limit)
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            raise self._failure(result)
        return [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    def copy(self) -> Iterator[memoryview]:
        """Read the next result, which must be COPY OUT, as messages."""
        result = self._result()
        if result is None or result.status != pq.ExecStatus.COPY_OUT:
            raise self._failure(result)
        try:
            while True:
                size, message = self._pgconn.get_copy_data(1)
                if size > 0:
                    yield message
                elif size < 0:
                    return
                else:
                    self._wait(self._stall)
                    self._pgconn.consume_input()
        except psycopg.OperationalError as error:
            raise self._lost(str(error)) from error

    def end(self) -> None:
        """Read the rest of the results; raises `ServerError` if the command failed after all."""
        while (result := self._result()) is not None:
            if result.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
                raise self._failure(result)

    def cancel(self) -> None:
        """Ask the server to stop the running command; may be called from any thread."""
        self._cancelled.set()
        try:
            request = self._pgconn.cancel_conn()
            request.start()
            self._drive(request.poll, lambda: request.socket, _CANCEL_GRACE)
        except (psycopg.Error, Unreachable) as error:
            self.warnings.append(f"the cancel request did not get through: {error}")

    def close(self) -> None:
        """Cancel what is running and hang up; a second call does nothing."""
        if self._pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            self.cancel()
        self._pgconn.finish()

    def _result(self, limit: float | None = None) -> pq.abc.PGresult | None:
        try:
            while self._pgconn.is_busy():
                self._wait(limit)
                self._pgconn.consume_input()
            return self._pgconn.get_result()
        except psycopg.OperationalError as error:
            raise self._lost(str(error)) from error

    def _wait(self, limit: float | None) -> None:
        poller = select.poll()
        poller.register(self._pgconn.socket, select.POLLIN)
        began = time.monotonic()
        while not poller.poll(1000):
            silent = time.monotonic() - began
            if self._cancelled.is_set() and silent > _CANCEL_GRACE:
                raise self._lost("It was cancelled and the server does not answer.")
            if limit is not None and silent > limit:
                raise self._lost(f"No byte arrived for {silent:.0f} s.")

    def _drive(
        self,
        step: Callable[[], int],
        socket: Callable[[], int],
        limit: float,
    ) -> None:
        deadline = time.monotonic() + limit
        while (wanted := step()) not in {pq.PollingStatus.OK, pq.PollingStatus.FAILED}:
            poller = select.poll()
            reading = wanted == pq.PollingStatus.READING
            poller.register(socket(), select.POLLIN if reading else select.POLLOUT)
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise Unreachable(
                    f"PostgreSQL did not answer within {limit:.0f} s",
                    hint="Check host, port and network between here and the server.",
                )

    def _notice(self, result: pq.abc.PGresult) -> None:
        self.warnings.append(_field(result, pq.DiagnosticField.MESSAGE_PRIMARY))

    def _lost(self, detail: str) -> Unreachable:
        return Unreachable(
            "the replication connection was lost",
            detail=" ".join([detail.strip(), *self.warnings[-3:]]),
            hint="Look into the server's log at this minute. What was received is no backup.",
        )

    def _failure(self, result: pq.abc.PGresult | None) -> ServerError | Damaged:
        if result is None:
            return ServerError("PostgreSQL gave no answer to a replication command")
        if not result.error_message:
            return ServerError(f"PostgreSQL answered with something else: {result.status}")
        message = _field(result, pq.DiagnosticField.MESSAGE_PRIMARY)
        detail = _field(result, pq.DiagnosticField.MESSAGE_DETAIL)
        hint = _field(result, pq.DiagnosticField.MESSAGE_HINT)
        sqlstate = _field(result, pq.DiagnosticField.SQLSTATE)
        detail = " ".join(filter(None, [detail, *self.warnings[-5:]]))
        if sqlstate in _DATA_CORRUPTED:
            return Damaged(f"PostgreSQL found its own data damaged: {message}", detail=detail)
        return ServerError(
            f"PostgreSQL says: {message}", detail=detail, hint=hint, sqlstate=sqlstate
        )


def _replicating(conninfo: str, application_name: str) -> bytes:
    try:
        full = make_conninfo(conninfo, replication="true", application_name=application_name)
    except psycopg.ProgrammingError:
        raise SettingsError(
            "the connection settings cannot be read",
            detail="They are not repeated here because they may hold a password.",
            hint="Write them as key=value pairs or as a postgresql:// address.",
        ) from None
    return full.encode()


def _no_connection(pgconn: pq.abc.PGconn) -> CheckFailed | Unreachable:
    said = pgconn.error_message.decode("utf-8", "replace").strip()
    if _TURNED_AWAY.search(said):
        return CheckFailed(
            "PostgreSQL does not accept this replication connection",
            detail=said,
            hint="The role needs REPLICATION and a line in pg_hba.conf for database replication.",
        )
    return Unreachable("PostgreSQL cannot be reached for replication", detail=said)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _field(result: pq.abc.PGresult, field: pq.DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode("utf-8", "replace")
