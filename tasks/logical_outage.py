"""The outage of a logical recovery: who is kept away from the primary, and let in again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from runbook import check, ensure, note, together
from runbook.actions import Action, Execute, Work
from runbook.approval import ApprovalNeeded
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, RunbookError
from runbook.hosts import Command
from runbook.logical.recovery.firewall import PortBlock, listening
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.sessions import ENDING, sessions
from runbook.logical.recovery.settings import RecoverySettings
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.replication.configuration import configuration
from runbook.replication.repmgrd import daemons
from runbook.replication.slots import Slot, slots
from runbook.run import current
from runbook.supervised import Supervised
from runbook.watch import log
from tasks import service
from tasks._task import task
from tasks.slots import drops

_SLOT_SECONDS = 30.0
_REPMGR_SECONDS = 90.0
_SESSION_SECONDS = 30.0

_LIST = 'if [ -d "$1" ]; then cd "$1" && find . -mindepth 1 -maxdepth 1 -type f; fi'
_FIND = ("-mindepth", "1", "-maxdepth", "1", "-type", "f")


def stop_standbys(job: Recovery) -> None:
    """See that no server runs but the primary, all at the same time."""
    others = [node for node in job.lineup.stopped if node.name != job.primary.name]
    together([partial(_stop, job, node) for node in others])


@task("stop repmgr on {job.primary}")
def stop_repmgr(job: Recovery, settings: LogicalBackups) -> None:
    """See that no repmgrd acts on the primary while its database is replaced."""
    supervised = settings.recovery.repmgr
    if supervised is not None:
        daemon = Supervised(job.primary.host, supervised)
        ensure(
            f"{daemon} does not run, and PostgreSQL goes on",
            holds=lambda: job.is_proven() or daemon.is_stopped(),
            by=daemon.stopping,
            within=_REPMGR_SECONDS,
        )
    ensure(
        f"no repmgrd acts on {job.primary}",
        holds=lambda: job.is_proven() or not daemons([job.primary]).acting,
        by=(),
        within=10,
    )


@task("start repmgr on {job.primary}")
def start_repmgr(job: Recovery, settings: LogicalBackups) -> None:
    """See that repmgrd runs again where a supervisor runs it, by its process."""
    if settings.recovery.repmgr is None:
        return
    daemon = Supervised(job.primary.host, settings.recovery.repmgr)
    ensure(f"{daemon} runs", holds=daemon.runs, by=daemon.starting, within=_REPMGR_SECONDS)


@task("drop the slots of the standbys on {job.primary}")
def drop_slots(job: Recovery) -> None:
    """See that no WAL of the load is kept for standbys that are cloned anew."""
    primary = job.primary
    if not current().planning:
        ensure(
            f"nobody uses the slots of the standbys on {primary} any more",
            holds=lambda: job.is_proven() or not any(slot.active for slot in _slots(job)),
            by=(),
            within=_SLOT_SECONDS,
        )
    ensure(
        f"{primary} keeps no WAL for a node that is cloned anew, now or later",
        holds=lambda: job.is_proven() or not _slots(job),
        by=lambda: drops(primary, _slots(job)),
        within=10,
    )


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
def close_port(job: Recovery, settings: LogicalBackups) -> None:
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
def open_port(job: Recovery, settings: LogicalBackups) -> None:
    """See that nothing of ours keeps clients away."""
    if not settings.recovery.block_port:
        return
    block = _block(job.lineup.cluster, job.primary, settings.recovery)
    ensure(f"port {job.primary.port} of {job.primary} is open", holds=block.is_gone, by=block.open)


@task("terminate the sessions on {job.primary}")
def end_sessions(job: Recovery) -> None:
    """See that nobody who was connected to a database is so any longer."""
    ending = _Ending(job)
    ensure(
        f"all sessions of before on {job.primary} have ended",
        holds=ending.is_over,
        by=ending.actions,
        within=_SESSION_SECONDS,
    )


@task("clear the startup locks")
def clear_locks(job: Recovery, settings: LogicalBackups) -> None:
    """Remove stale locks on the stopped nodes: their process ids may be others' by now."""
    directory = settings.recovery.startup_locks
    if not directory:
        note("the settings name no directory of startup locks")
        return
    for node in job.lineup.standbys:
        find = ("find", directory, *_FIND)
        ensure(
            f"{directory} on {node} holds no stale lock",
            holds=lambda node=node: job.is_proven() or not _locks(node, directory),  # type: ignore[misc]
            needs=[service.still_stopped(node, node.directory())],
            by=[Execute(node.host, Command((*find, "-delete"), user="root"))],
        )
    check(
        f"no startup lock of {job.primary} is touched: PostgreSQL runs there",
        job.primary.accepts_connections,
        seen=lambda: "it does not answer",
    )


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


@dataclass
class _Ending:
    """Sessions that were there when they were told to end; who comes later is not meant."""

    job: Recovery
    told: frozenset[int] = frozenset()
    asked: bool = False

    def is_over(self) -> bool:
        if self.job.has("proven"):
            return True
        now = sessions(self.job.primary)
        return not (self.told & now) if self.asked else not now

    def actions(self) -> tuple[Action, ...]:
        primary = self.job.primary
        self.told, self.asked = sessions(primary), True
        return (Execute(primary.console, primary.statement(ENDING)),)


def _stop(job: Recovery, node: Node) -> None:
    service.stop(node, unless=job.is_proven)


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


def foreign_slots(job: Recovery) -> tuple[Slot, ...]:
    """Give the slots that would keep all WAL of the load, or a database from being set aside."""
    ours = {slot.name for slot in _slots(job)}
    others = (slot for slot in slots(job.primary) if slot.name not in ours)
    return tuple(slot for slot in others if hinders(slot, job.names))


def hinders(slot: Slot, names: Sequence[str]) -> bool:
    """Tell whether a slot keeps WAL that nobody fetches, or one of the databases in use."""
    return not slot.temporary and (not slot.active or slot.database in names)


def _slots(job: Recovery) -> tuple[Slot, ...]:
    """Give the slots of all nodes that the run stops: also those left out are cloned anew later."""
    names = {configuration(node).slot for node in job.lineup.standbys}
    for node in set(job.lineup.stopped) & set(job.lineup.left_out):
        with suppress(CheckFailed, CommandFailed):  # it need not have a repmgr.conf
            names.add(configuration(node).slot)
    return tuple(slot for slot in slots(job.primary) if slot.name in names)


def _locks(node: Node, directory: str) -> bool:
    return bool(node.host.read("sh", "-c", _LIST, "locks", directory).strip())
