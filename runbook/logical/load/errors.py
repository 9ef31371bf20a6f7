"""Why a dump is not loaded, or stopped loading."""

from __future__ import annotations

import re

from runbook.errors import CommandFailed, Refused

_SHOWN = 200
_SECRETS = re.compile(rb"\b(PASSWORD|CONNECTION|OPTIONS)\b.*", re.IGNORECASE | re.DOTALL)


class DumpRefused(Refused):
    """A dump that is cut, or holds what may not run; nothing of it was loaded."""


class LoadFailed(CommandFailed):
    """PostgreSQL refused a statement of the dump; what came before it is loaded."""

    def __init__(
        self,
        message: str,
        *,
        detail: str = "",
        hint: str = "",
        database: str = "",
        line: int = 0,
        sqlstate: str = "",
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.database = database
        self.line = line
        self.sqlstate = sqlstate


def shortened(statement: bytes) -> str:
    """Give the beginning of a statement on one line, without the secrets it may hold."""
    text = _SECRETS.sub(rb"\1 ***", statement[: 4 * _SHOWN]).decode(errors="replace")
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
