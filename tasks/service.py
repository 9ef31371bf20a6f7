"""Starting and stopping PostgreSQL, judged by PostgreSQL itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runbook import Need, ensure
from runbook.actions import Action, Execute
from runbook.errors import CheckFailed
from runbook.hosts import Command
from runbook.plan import Outcome
from runbook.postgres import Node
from runbook.run import current
from tasks._task import task

_STOP_SECONDS = 600.0
_START_SECONDS = 3600.0


@task("stop PostgreSQL on {node}")
def stop(node: Node, *, unless: Callable[[], bool]) -> Outcome:
    """See that no server runs on the node, and that nothing starts one, unless all is done."""
    stopping = _Stopping(node)
    return ensure(
        f"no server runs on {node}, and none will be started",
        holds=lambda: unless() or stopping.has_ended(),
        by=stopping.commands,
        within=_STOP_SECONDS,
    )


@task("start PostgreSQL on {node}")
def start(node: Node) -> None:
    """See that the server on the node is up and accepts writes."""
    ensure(
        f"{node} accepts writes",
        holds=node.accepts_writes,
        by=lambda: _on(node, (*node.service.release(node), *_starting(node))),
        within=_START_SECONDS,
    )


@task("start PostgreSQL on {node} as a standby")
def start_standby(node: Node) -> None:
    """See that the server on the node answers and is in recovery; never a second primary.

    What holds its service down is taken away only when its directory is a standby's.
    """
    signal = f"{node.directory()}/standby.signal"
    ensure(
        f"{node} answers as a standby",
        holds=lambda: is_standby(node),
        needs=[
            Need(
                f"{signal} is there, so that the server can only come up as a standby",
                lambda: node.host.holds("test", "-e", signal, user=node.os_user),
                hint="Somebody has removed it, or promoted the server. Look before you start it.",
            )
        ],
        by=lambda: _on(node, (*node.service.release(node), *_starting(node))),
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


def _starting(node: Node) -> tuple[Command, ...]:
    """Give the start, unless a server is on its way up: that of a run that was interrupted.

    A plan always names it: the server that still runs now will have been stopped by then.
    """
    wanted = current().planning or node.is_stopped()
    return node.service.start(node) if wanted else ()


def _is_held(node: Node) -> bool:
    held = node.service.held(node)
    return held is None or node.host.attempt(held).exit_code == 0


def _on(node: Node, commands: tuple[Command, ...]) -> tuple[Action, ...]:
    return tuple(Execute(node.host, command) for command in commands)
