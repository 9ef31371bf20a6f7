"""repmgrd, the daemon that fails over by itself: who runs one, and whether it is paused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from runbook.actions import Action, Execute
from runbook.errors import CommandFailed, Unreachable
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.tools import repmgr

# The functions need repmgr in shared_preload_libraries, and no repmgrd can work without it.
_ASK = """
SELECT repmgr.get_repmgrd_pid() AS pid, repmgr.repmgrd_is_running() AS running,
       repmgr.repmgrd_is_paused() AS paused
WHERE current_setting('shared_preload_libraries') LIKE '%repmgr%'
"""


class Daemon(BaseModel):
    """The repmgrd of one node, as its server knows it."""

    model_config = ConfigDict(frozen=True)
    pid: int | None = None
    running: bool | None = False
    paused: bool | None = False

    @property
    def acts(self) -> bool:
        """Tell whether it may promote or follow by itself."""
        return bool(self.running) and not self.paused


@dataclass(frozen=True)
class Daemons:
    """What is known of repmgrd on every node that answers."""

    found: tuple[tuple[Node, Daemon], ...]

    @property
    def acting(self) -> tuple[Node, ...]:
        """Give the nodes whose repmgrd may act."""
        return tuple(node for node, daemon in self.found if daemon.acts)

    @property
    def running(self) -> tuple[Node, ...]:
        """Give the nodes whose repmgrd runs, paused or not."""
        return tuple(node for node, daemon in self.found if daemon.running)

    @property
    def paused(self) -> tuple[Node, ...]:
        """Give the nodes whose repmgrd runs and is paused."""
        return tuple(node for node, daemon in self.found if daemon.running and daemon.paused)


def daemons(nodes: Sequence[Node]) -> Daemons:
    """Ask every node that repmgr manages at once; one that does not answer is left out."""
    asked = [node for node in nodes if node.repmgr is not None]
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        found = zip(asked, pool.map(_daemon, asked), strict=True)
        return Daemons(tuple((node, daemon) for node, daemon in found if daemon is not None))


def _daemon(node: Node) -> Daemon | None:
    try:
        rows = node.ask(_ASK, database=repmgr_of(node).database, timeout=20)
    except (Unreachable, CommandFailed):
        return None
    return Daemon.model_validate(rows[0]) if rows else Daemon()


def pausing(found: Daemons) -> tuple[Action, ...]:
    """Pause every repmgrd of the cluster, as told from one node; nothing where none acts."""
    return _told(found.acting[:1], repmgr.service_pause)


def unpausing(found: Daemons) -> tuple[Action, ...]:
    """End the pause of every repmgrd, as told from one node; nothing where none runs."""
    return _told(found.running[:1], repmgr.service_unpause)


def _told(nodes: tuple[Node, ...], command: Callable[..., Command]) -> tuple[Action, ...]:
    return tuple(
        Execute(
            node.host,
            command(repmgr_program(node), repmgr_of(node).configuration, user=node.os_user),
        )
        for node in nodes
    )
