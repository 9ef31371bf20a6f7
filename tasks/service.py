"""Starting and stopping PostgreSQL, judged by PostgreSQL itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from runbook import Need, ensure
from runbook.actions import Action, Execute
from runbook.errors import CheckFailed, CommandFailed, Unreachable
from runbook.hosts import Command
from runbook.plan import Outcome
from runbook.postgres import Node
from runbook.postgres.failed_start import explained
from runbook.postgres.rights import lacking
from runbook.run import current
from tasks._task import task

_STOP_SECONDS = 600.0
_START_SECONDS = 3600.0
_REVIVAL_SECONDS = 30.0
_FIRST_SIGHT_SECONDS = 600.0


@task("stop PostgreSQL on {node}")
def stop(node: Node, *, unless: Callable[[], bool]) -> Outcome:
    """See that no server runs on the node, and that nothing starts one, unless all is done."""
    stopping = _Stopping(node)
    outcome = ensure(
        f"no server runs on {node}, and none will be started",
        holds=stopping.has_ended,
        by=stopping.commands,
        within=_STOP_SECONDS,
        unless=unless,
    )
    if outcome == "planned" and not stopping.has_ended():
        _insist_on_rights(node)
    return outcome


@task("start PostgreSQL on {node}")
def start(node: Node) -> None:
    """See that the server on the node is up and accepts writes."""
    starting = _Starting(node, node.accepts_writes)
    with explained(node):
        ensure(
            f"{node} accepts writes",
            holds=starting.is_up,
            by=starting.commands,
            within=_START_SECONDS,
        )


@task("start PostgreSQL on {node} as a standby")
def start_standby(node: Node) -> None:
    """See that the server on the node answers and is in recovery; never a second primary.

    What holds its service down is taken away only when its directory is a standby's.
    """
    signal = f"{node.directory()}/standby.signal"
    is_marked = Need(
        f"{signal} is there, so that the server can only come up as a standby",
        lambda: node.host.holds("test", "-e", signal, user=node.os_user),
        hint="Somebody has removed it, or promoted the server. Look before you start it.",
    )
    starting = _Starting(node, lambda: is_standby(node))
    with explained(node):
        ensure(
            f"{node} answers as a standby",
            holds=starting.is_up,
            needs=[is_marked],
            by=starting.commands,
            within=_START_SECONDS,
        )


def is_standby(node: Node) -> bool:
    """Tell whether the server on the node answers and is in recovery."""
    return node.accepts_connections() and not node.accepts_writes()


def still_stopped(node: Node, directory: str) -> Need:
    """Need that nothing has started a server on a data directory since it was stopped."""
    return Need(
        f"no server runs on {directory}",
        node.is_stopped,
        seen=lambda: "a server is at work there",
        hint="Something has started it again. Stop that, and start the runbook again.",
    )


@dataclass
class _Stopping:
    """Waits for the end of the server that was asked to stop, and knows another one from it."""

    node: Node
    pid: str = ""

    def commands(self) -> tuple[Action, ...]:
        node = self.node
        self.pid = node.server_pid()
        return _on(node, node.service.stopping(node))

    def has_ended(self) -> bool:
        if self.node.is_stopped():
            return _is_held(self.node)
        now = self.node.server_pid() if self.pid else ""
        if now not in ("", self.pid):
            raise CheckFailed(
                f"the server on {self.node} was stopped, and something has started it again",
                detail=f"process {self.pid} has ended, process {now} runs now",
                hint="Stop the supervisor that does it, or name it as the node's service; "
                "then start the runbook again. The applications stand still.",
            )
        return False


@dataclass
class _Starting:
    """Waits for the server that was started, and knows when it has died on its way up.

    pg_ctl is content as soon as a server in recovery takes questions; it may still die after that.
    Where a supervisor may start it again, or has to work before the first start, that has its time.
    """

    node: Node
    has_come_up: Callable[[], bool]
    _ordered: bool = False
    _seen: bool = False
    _gone_since: float | None = None

    def commands(self) -> tuple[Action, ...]:
        """Give the start, unless a server is on its way up: that of a run that was interrupted.

        A plan always names it: the server that still runs now will have been stopped by then.
        """
        node = self.node
        wanted = current().planning or node.is_stopped()
        self._ordered, self._seen = True, not wanted or node.service.start_waits
        start = node.service.start(node) if wanted else ()
        return _on(node, (*node.service.release(node), *start))

    def is_up(self) -> bool:
        """Tell whether it has come up; CommandFailed when it is gone for good."""
        if self.has_come_up():
            return True
        if self._ordered and self._is_gone():
            raise CommandFailed(
                f"the server on {self.node} was started and has ended again",
                detail=f"no server runs on {self.node.directory()}",
                hint="Remove the cause and start the runbook again; steps already done are found "
                "done.",
            )
        return False

    def _is_gone(self) -> bool:
        try:
            is_stopped = self.node.is_stopped()
        except Unreachable:  # a host that is not reached now tells nothing of its server
            return False
        if not is_stopped:
            self._seen, self._gone_since = True, None
            return False
        now = time.monotonic()
        self._gone_since = now if self._gone_since is None else self._gone_since
        return now - self._gone_since > (_REVIVAL_SECONDS if self._seen else _FIRST_SIGHT_SECONDS)


def _insist_on_rights(node: Node) -> None:
    """Refuse in the plan what would end in the outage."""
    if missing := lacking(node):
        raise CheckFailed(
            f"the login may not stop, hold down and start the server on {node}",
            detail="sudo does not allow: " + "; ".join(missing),
            hint=f"Give it these lines in /etc/sudoers.d/pg-runbooks on {node.host}: README, "
            "Rights on the servers. Or let the worker log in as root.",
        )


def _is_held(node: Node) -> bool:
    held = node.service.held(node)
    return held is None or node.host.attempt(held).exit_code == 0


def _on(node: Node, commands: tuple[Command, ...]) -> tuple[Action, ...]:
    return tuple(Execute(node.host, command) for command in commands)
