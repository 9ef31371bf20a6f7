"""Errors in the dialect DBAs read fluently: ERROR, DETAIL, HINT."""

from __future__ import annotations


class RunbookError(Exception):
    """Something stopped a runbook: what, what was seen, and what to do next.

    `detail` and `hint` may be empty; secrets must be masked before they come here.
    """

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"ERROR:  {self.message}"]
        if self.detail:
            lines.append(f"DETAIL: {self.detail}")
        if self.hint:
            lines.append(f"HINT:   {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.detail, self.hint))


def _rebuild(kind: type[RunbookError], message: str, detail: str, hint: str) -> RunbookError:
    return kind(message, detail=detail, hint=hint)


class SettingsError(RunbookError):
    """The inventory or a block says something that cannot be used."""


class Unreachable(RunbookError):
    """A host, server or store did not answer in time; trying again may help."""


class ConnectionLost(Unreachable):
    """The way to a host broke while a command ran: whether it did its work is not known."""


class HostUnreachable(Unreachable):
    """Nobody can log in to a machine; whether it is off or only cut off is not known."""


class LoginRefused(HostUnreachable):
    """A machine answers and lets nobody in, or is another one than it was: it is not off."""


class CheckFailed(RunbookError):
    """A fact that the procedure insists on does not hold."""


class LockLost(CheckFailed):
    """The cluster is no longer this run's alone: another run was at work on it, or is."""


class CommandFailed(RunbookError):
    """A command ended with an exit code that does not mean success."""


class GoalNotReached(RunbookError):
    """All actions of a step were done and its goal still does not hold."""


class Refused(RunbookError):
    """A guard or a person said no; nothing was changed by this refusal."""


class Held(Refused):
    """Another run holds the cluster."""


class Interrupted(RunbookError):
    """The run was ended from outside; what had not begun does not begin."""


class Damaged(CheckFailed):
    """A backup, archive or record is not what its manifest or checksum says."""


class StoreError(RunbookError):
    """A store answered something other than the bytes that were asked for."""


class StoreForbidden(StoreError):
    """The store knows the credentials and does not allow this."""


class ObjectMissing(StoreError):
    """The store has no object of that name."""
