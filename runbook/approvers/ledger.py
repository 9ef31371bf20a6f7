"""What became of every answer: which codes were used, who has failed how often."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from runbook.approvers.terms import Terms
from runbook.errors import Damaged

TRIES = 5


class Entry(BaseModel):
    """An answer and its verdict, or the unlocking of a person.

    `token` names what was spent: the step of a one-time code, a signature, a seal.
    """

    model_config = ConfigDict(frozen=True)
    at: datetime
    event: Literal["counted", "rejected", "unlocked"]
    person: str
    run: str = ""
    question: str = ""
    how: str = ""
    token: str = ""
    why: str = ""


@dataclass(frozen=True)
class Ledger:
    """The answers to one policy's questions that were judged on this machine."""

    path: Path

    @contextmanager
    def held(self) -> Iterator[list[Entry]]:
        """Give all entries, with nobody else writing for the time of the block."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self._read()
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """Give all entries, oldest first."""
        with self.held() as entries:
            return entries

    def write(self, entry: Entry) -> None:
        """Append an entry while it is held; it is on disk when this returns.

        A line that a crash has cut was told to nobody, and makes room.
        """
        whole = self.path.read_bytes().rpartition(b"\n")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.ftruncate(descriptor, len(whole[0]) + len(whole[1]))
            os.write(descriptor, f"{entry.model_dump_json()}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def unlock(self, person: str, by: str) -> None:
        """Let the codes of a person count again."""
        with self.held():
            self.write(Entry(at=datetime.now(UTC), event="unlocked", person=person, why=by))

    def _read(self) -> list[Entry]:
        *lines, _ = self.path.read_text().split("\n")
        try:
            return [Entry.model_validate_json(line) for line in lines]
        except ValueError as error:
            raise Damaged(
                f"{self.path} cannot be read",
                detail=str(error)[:300],
                hint="It tells which codes were used. Look at the line, then mend or remove it.",
            ) from None


def ledger_of(state: Path, terms: Terms | None) -> Ledger:
    """Give the ledger of a policy in a state directory."""
    return Ledger(path_of(state, terms.policy.name if terms else "none"))


def path_of(state: Path, policy: str) -> Path:
    """Name the file of a policy's ledger."""
    return state / "approvals" / f"{policy}.jsonl"


def failures(entries: list[Entry], person: str) -> int:
    """Count the wrong codes of a person since the last right one or the last unlocking."""
    count = 0
    for entry in entries:
        if entry.person == person:
            if entry.event == "rejected":
                count += entry.how == "one-time code"
            elif entry.event == "unlocked" or entry.how == "one-time code":
                count = 0
    return count


def is_locked(entries: list[Entry], person: str) -> bool:
    """Tell whether the codes of a person do not count until somebody unlocks them."""
    return failures(entries, person) >= TRIES
