"""The proof that a database is that of a backup: its line of psql -l, its tables, their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.target import Target
from runbook.postgres.dumped_rows import counting
from runbook.tools import psql

_SHOWN = 5


@dataclass(frozen=True)
class Proof:
    """What the database is compared with: its record, and its dump as it lies in the archive.

    The vendor's program may have added rows of its own to those that it has loaded.
    """

    target: Target
    dump: Callable[[], DumpText]

    def differences(self) -> tuple[str, ...]:
        """Tell what is not as in the backup; no value of any row."""
        target, now = self.target, self.target.now()
        if now is None or not now.open:
            return (f"there is no database {target.name} that takes connections",)
        if target.listed() != target.to_be_listed():
            return (f"psql -l lists it as {' | '.join(target.listed())}",)
        tables, wanted = target.live.tables(), target.backup.tables
        if tables < wanted:
            return (f"it has {tables} tables of {wanted}",)
        return self._rows()

    def _rows(self) -> tuple[str, ...]:
        wanted = self.dump().rows
        if not wanted:
            return ()
        found, said = self._counted(tuple(wanted))
        if found is None:
            return (f"a table of the dump cannot be counted: {said}",)
        by_hand = self.target.backup.way == "manual"
        wrong = [
            f"{table} has {number} rows of {rows}"
            for (table, rows), number in zip(wanted.items(), found, strict=True)
            if number < rows or (by_hand and number > rows)
        ]
        more = len(wrong) - _SHOWN
        return (*wrong[:_SHOWN], *((f"and {more} more tables",) if more > 0 else ()))

    def _counted(self, tables: tuple[str, ...]) -> tuple[list[int] | None, str]:
        node = self.target.live.node
        command = psql.script(
            node.program("psql"),
            counting(tables),
            user=node.server_user,
            port=node.port,
            socket=node.socket_directory,
            database=self.target.name,
        )
        done = node.console.ask(command)
        if done.exit_code != 0:
            return None, done.stderr.strip()[-200:]
        counted = [line.split("|") for line in done.stdout.splitlines()]
        return [int(rows) for _, rows, _ in sorted(counted, key=lambda line: int(line[0]))], ""
