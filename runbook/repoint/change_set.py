"""Changes of files on several hosts that are made together, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from runbook.actions import Action, Work
from runbook.errors import CommandFailed, RunbookError
from runbook.hosts import Command
from runbook.repoint.change import FileChange
from runbook.watch import log


@dataclass
class ChangeSet:
    """The changes, and how far they are: drafted first, all of them, then put in their places.

    What can fail for want of room, rights or a host fails while drafting; the second half only
    renames. A process that dies in between leaves files that the next run finishes.
    """

    changes: Sequence[FileChange] = ()
    _drafted: list[FileChange] = field(default_factory=list)
    _swapped: list[FileChange] = field(default_factory=list)
    _whole: bool = False

    def actions(self) -> tuple[Action, ...]:
        """Give them in order, to be performed in `all_or_none`."""
        drafts = (
            Work(change.host.name, f"write {change.draft}", partial(self._draft, change))
            for change in self.changes
        )
        swaps = (
            Work(change.host.name, _shown(change), partial(self._swap, change))
            for change in self.changes
        )
        return (*drafts, *swaps)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Put everything back when the block ends badly before the last file was replaced."""
        try:
            yield
        except RunbookError as error:
            if not self._drafted or self._whole:
                raise
            stuck = self._put_back()
            finish = "; it finishes what is begun." if stuck else "."
            raise type(error)(
                f"the applications were not repointed: {error.message}",
                detail=f"{error.detail}\n{stuck or 'all files are as they were'}".strip(),
                hint=f"Remove the cause and start the runbook again{finish}",
            ) from error
        except BaseException:
            if not self._whole:
                self._put_back()
            raise

    def _draft(self, change: FileChange) -> str:
        self._drafted.append(change)
        _run(change, change.drafting(), f"write {change.draft}")
        return f"{change.draft} is on disk"

    def _swap(self, change: FileChange) -> str:
        self._swapped.append(change)
        _run(change, change.swapping(), f"replace {change.file.path}")
        self._whole = len(self._swapped) == len(self.changes)
        return f"the old file is kept as {change.backup}"

    def _put_back(self) -> str:
        """Put back what was begun; tell which files could not be."""
        stuck = []
        for change in self._drafted:
            try:
                done = change.host.attempt(change.putting_back())
                said = done.stderr.strip() if done.exit_code != 0 else ""
            except RunbookError as error:
                said = error.message
            if said:
                stuck.append(self._left(change, said))
                log.warning("%s", stuck[-1])
        return "\n".join(stuck)

    def _left(self, change: FileChange, said: str) -> str:
        if change in self._swapped:
            return (
                f"not put back: {change.file.path} on {change.host} ({said}); where it was "
                f"replaced, its old text is {change.backup}"
            )
        return f"left behind: {change.draft} on {change.host} ({said}); no file was changed there"


def _run(change: FileChange, command: Command, deed: str) -> None:
    done = change.host.attempt(command)
    if done.exit_code != 0:
        raise CommandFailed(
            f"{change.host}: cannot {deed}",
            detail=done.stderr.strip()[-500:] or f"exit code {done.exit_code}",
        )


def _shown(change: FileChange) -> str:
    mark = f"\nmark: {change.due}" if change.due else ""
    return f"{change.diff()}\nkept: {change.backup}{mark}"
