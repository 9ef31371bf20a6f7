"""A machine that commands run on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydantic import BaseModel, ConfigDict, Field

from runbook.errors import CommandFailed, ConnectionLost, Unreachable
from runbook.hosts.command import Command, Completed
from runbook.hosts.machines import Local
from runbook.hosts.process import Process
from runbook.hosts.underway import underway
from runbook.hosts.ways import AnyWay
from runbook.watch import log

READ = 'if [ -e "$1" ]; then cat "$1"; fi'
"""Gives the content of a file that may not be there."""

_UNTOLD = ("a password is required", "authentication is required")  # sudo, sudo-rs
_PAUSES = (0.2, 1.0)
"""Seconds before a question is asked again; a host that cannot be reached anew is not asked."""
_FIRST_LINES, _LAST_LINES = 4, 8
_LEASH_SECONDS = 8  # a leash gives its command 5 s between TERM and KILL


class Host(BaseModel):
    """A machine and the way into it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="What people call the machine; used in plans and records.")
    way: AnyWay = Field(default=Local(), description="How the worker gets there.")

    def __str__(self) -> str:
        return self.name

    def shown(self, command: Command) -> str:
        """Give the line a person would type on this host."""
        return self.way.shown(command.typed(self.way.login))

    def attempt(self, command: Command) -> Completed:
        """Run a command and give its answer, whatever its exit code."""
        began = time.monotonic()
        process = self.way.start(command.wrapped(self.way.login))
        try:
            with underway(process, _LEASH_SECONDS if command.leashed else 0):
                return self._finish(process, command, began)
        finally:
            _end(process, command)

    def run(self, command: Command) -> Completed:
        """Run a command; CommandFailed when its exit code does not mean success."""
        return self._judged(command, self.attempt(command))

    def ask(self, command: Command) -> Completed:
        """Run a command that changes nothing, anew when the way to the host broke meanwhile."""
        for pause in _PAUSES:
            try:
                return self.attempt(command)
            except ConnectionLost as error:
                log.warning("%s: %s; asking again", self, error.message)
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        return self.attempt(command)

    def read(self, *argv: str, user: str = "") -> str:
        """Run a command that changes nothing and give what it printed."""
        command = Command(argv, user=user, timeout=60)
        return self._judged(command, self.ask(command)).stdout

    def content(self, path: str, *, user: str = "") -> str:
        """Read a file; empty where there is none."""
        return self.read("sh", "-c", READ, "read", path, user=user)

    def holds(self, *argv: str, user: str = "") -> bool:
        """Tell whether a command that changes nothing exits with 0."""
        return self.ask(Command(argv, user=user, timeout=60)).exit_code == 0

    def allows(self, command: Command) -> bool:
        """Tell whether the login may run a command as its user; sudo is asked, and runs nothing.

        Where sudo tells nothing without a password, nobody knows: that counts as yes. Nor does it
        tell whether this very command wants one.
        Ref.: sudo(8), -l with a command
        """
        login = self.way.login
        if command.user in ("", login) or login == "root":
            return True
        argv = ("sudo", "-n", "-l", "-u", command.user, "--", *command.argv)
        done = self.ask(Command(argv, env=(("LC_ALL", "C"),), timeout=60))
        return done.exit_code == 0 or any(said in done.stderr for said in _UNTOLD)

    @contextmanager
    def running(self, command: Command) -> Iterator[Process]:
        """Give a running command for the time of a block; it is ended with the block."""
        process = self.way.start(command.wrapped(self.way.login))
        try:
            if command.passfile:
                process.write(command.input())
            yield process
        finally:
            _end(process, command)

    def failed(self, command: Command, exit_code: int, said: str) -> CommandFailed:
        """Make the error for a command that did not succeed."""
        told = "\n".join(_ends(said.strip().splitlines()))
        return CommandFailed(
            f"{self}: {command.argv[0]} ended with exit code {exit_code}",
            detail=f"ran on {self}: {self.shown(command)}\n{told}".rstrip(),
            hint="Remove the cause and start the runbook again; steps already done are found done.",
        )

    def _judged(self, command: Command, done: Completed) -> Completed:
        if done.exit_code not in command.ok:
            raise self.failed(command, done.exit_code, done.stderr or done.stdout)
        return done

    def _finish(self, process: Process, command: Command, began: float) -> Completed:
        output = b""
        with _in_time(process, command, self):
            with suppress(BrokenPipeError):  # it ended without reading; its exit code tells why
                process.write(command.input())
            if not command.leashed:
                process.close_stdin()
            output = b"".join(iter(process.read, b""))
            if command.timeout is not None:
                process.wait(max(0.1, command.timeout - (time.monotonic() - began)))
        code = process.wait()
        return Completed(
            code, output.decode(errors="replace"), process.stderr(), time.monotonic() - began
        )


def _ends(lines: list[str]) -> list[str]:
    """Leave out the middle of a long text: the reason stands first, or last."""
    if len(lines) <= _FIRST_LINES + _LAST_LINES:
        return lines
    return [*lines[:_FIRST_LINES], "[...]", *lines[-_LAST_LINES:]]


def _end(process: Process, command: Command) -> None:
    """End a command; a leashed one has really ended then, with everything it started."""
    if command.leashed:
        process.close_stdin()
        with suppress(TimeoutError, Unreachable):
            process.wait(_LEASH_SECONDS)
    process.kill()


@contextmanager
def _in_time(process: Process, command: Command, host: Host) -> Iterator[None]:
    """End a command that outlives its time, also one that does not read what it is given."""
    if command.timeout is None:
        yield
        return
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(command.timeout, end)
    timer.start()
    try:
        yield
    except TimeoutError:
        late.set()
    except (OSError, ValueError, ConnectionLost):
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise Unreachable(
            f"{host}: no answer in {command.timeout:.0f} s",
            detail=f"ran on {host}: {host.shown(command)}",
            hint="The host may be overloaded, or its disk may hang.",
        )
