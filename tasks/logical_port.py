"""The port of the primary in a logical recovery: closed to clients, and never left closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from runbook import ensure, note
from runbook.actions import Action, Work
from runbook.approval import ApprovalNeeded
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.logical.recovery.firewall import PortBlock, listening
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.settings import RecoverySettings
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.run import current
from runbook.watch import log
from tasks._task import task


@contextmanager
def never_left_closed(cluster: Cluster, settings: LogicalBackups) -> Iterator[None]:
    """Open the port on every way out of the block but the question to people.

    A dead worker leaves it to the kernel, or to the next run: also to one that fails in its plan,
    or that people refuse. A dry run opens nothing.
    """
    run, wanted = current(), settings.recovery
    blocks = [_block(cluster, node, wanted) for node in cluster.nodes if wanted.block_port]
    if not run.planning:
        run.if_refused += [_when_refused(block) for block in blocks]
    try:
        yield
    except ApprovalNeeded:
        raise
    except BaseException as error:
        for block in blocks if run.locked else ():
            told = _opened_in_haste(block)
            if told and isinstance(error, RunbookError) and run.memory.get(block.table):
                error.hint = f"{error.hint} {told}".strip()
        raise


@task("close the port of {job.primary}")
def close(job: Recovery, settings: LogicalBackups) -> None:
    """See that nobody from outside comes in, until the port is opened or the block expires."""
    wanted = settings.recovery
    if not wanted.block_port:
        note("the settings say that the port is not blocked: see that no client comes in")
        return
    block = _block(job.lineup.cluster, job.primary, wanted)
    current().memory[block.table] = not current().planning
    closing = _Closing(job, block)
    ensure(
        f"port {job.primary.port} of {job.primary} is closed to all but the cluster's nodes, "
        f"for {wanted.block_expires} at most",
        holds=closing.is_over,
        by=closing.actions,
    )


@task("open the port of {job.primary}")
def open_again(job: Recovery, settings: LogicalBackups) -> None:
    """See that nothing of ours keeps clients away."""
    if not settings.recovery.block_port:
        return
    block = _block(job.lineup.cluster, job.primary, settings.recovery)
    ensure(f"port {job.primary.port} of {job.primary} is open", holds=block.is_gone, by=block.open)


@dataclass
class _Closing:
    """The block of this run: one that a dead run has left may be about to expire."""

    job: Recovery
    block: PortBlock
    begun: bool = False

    def is_over(self) -> bool:
        return self.job.has("proven") or (self.begun and self.block.stands())

    def actions(self) -> tuple[Action, ...]:
        self.begun = True
        return replace(self.block, listening=listening(self.job.primary)).close()


def _block(cluster: Cluster, node: Node, settings: RecoverySettings) -> PortBlock:
    return PortBlock(node, tuple(dict.fromkeys(cluster.nodes)), settings.block_expires)


def _when_refused(block: PortBlock) -> Action:
    """Give the same for people's refusal: there is no run to record it by then."""
    line = f"open port {block.node.port}, if a run that was killed has left it closed"
    return Work(block.node.host.name, line, partial(_opened, block))


def _opened(block: PortBlock) -> str:
    try:
        if block.is_gone():
            return "it was open"
        for action in block.open():
            action.perform()
    except RunbookError as error:
        log.warning("the port of %s cannot be opened: %s", block.node, error.message)
        return error.message
    return "open"


def _opened_in_haste(block: PortBlock) -> str:
    """Open the port when a run ends before its time; say how, where it cannot be opened now."""
    try:
        if not block.is_gone():
            for action in block.open():
                current().record("taken back", where=action.where, command=str(action))
                action.perform()
    except RunbookError as error:
        log.warning("the port of %s cannot be opened: %s", block.node, error.message)
        return (
            f"The port of {block.node} may be closed still: the next run opens it, so does "
            f"`nft delete table inet {block.table}` on {block.node.host}, and the kernel by itself "
            f"{block.expires} after it was closed."
        )
    return ""
