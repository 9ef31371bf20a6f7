"""Who becomes the primary of a restored cluster, who is cloned from it, and who is left out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, SettingsError, Unreachable
from runbook.postgres import Node
from runbook.postgres.state import ControlData, parse_controldata
from runbook.replication.server import ServerState, look
from runbook.restore.outage import StopClock
from runbook.restore.place import look as look_at
from runbook.restore.place import whole_place
from runbook.tools import pg_ctl


@dataclass(frozen=True)
class Found:
    """What was found of a node: what its server answers, else what its control file says.

    `unreachable` is why its host does not answer, and empty when it does. `begun` tells that a
    restore has stopped something and has not come to its end there.
    """

    node: Node
    unreachable: str = ""
    state: ServerState | None = None
    control: ControlData | None = None
    begun: bool = False

    def __str__(self) -> str:
        if self.unreachable:
            return f"its host does not answer: {self.unreachable}"
        if self.state is not None:
            role = "standby" if self.state.in_recovery else "primary"
            return f"{role}, timeline {self.state.timeline}"
        if self.control is None:
            return "no server answers, and there is no data"
        seen = self.control
        where = f"timeline {seen.timeline}, last checkpoint at {seen.checkpoint}"
        return f"no server answers; its control file: {seen.state}, {where}"

    @property
    def writable(self) -> bool:
        """Tell whether its server answers and accepts writes."""
        return self.state is not None and not self.state.in_recovery


@dataclass(frozen=True)
class Lineup:
    """The parts of all nodes in a restore of the whole cluster.

    `why` is why this primary; `without` the names that a person wants left out, of which the
    settings may not know some.
    """

    cluster: Cluster
    found: tuple[Found, ...]
    primary: Node
    standbys: tuple[Node, ...]
    left_out: tuple[Node, ...]
    without: tuple[str, ...]
    why: str

    @property
    def members(self) -> tuple[Node, ...]:
        """Give the nodes that the restored cluster consists of; the primary first."""
        return (self.primary, *self.standbys)

    @property
    def stopped(self) -> tuple[Node, ...]:
        """Give the nodes that are stopped: all that can be reached; the primary first."""
        reached = {found.node.name for found in self.found if not found.unreachable}
        return (*self.members, *(node for node in self.left_out if node.name in reached))


class NoPrimary(CheckFailed):
    """Not one node alone accepts writes; `found` is what was found of each."""

    def __init__(
        self, message: str, *, detail: str = "", hint: str = "", found: Sequence[Found] = ()
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.found = tuple(found)


def look_around(cluster: Cluster) -> tuple[Found, ...]:
    """Look at every node at once."""
    with ThreadPoolExecutor(max_workers=len(cluster.nodes)) as pool:
        return tuple(pool.map(_find, cluster.nodes))


def line_up(
    cluster: Cluster, found: Sequence[Found], wanted: str, without: tuple[str, ...]
) -> Lineup:
    """Give every node its part; CheckFailed where that would be a guess."""
    present = tuple(seen for seen in found if seen.node.name not in without)
    primary, why = _primary(present, wanted)
    return Lineup(
        cluster=cluster,
        found=tuple(found),
        primary=primary.located(),
        standbys=tuple(seen.node.located() for seen in present if seen.node.name != primary.name),
        left_out=tuple(
            seen.node if seen.unreachable else seen.node.located()
            for seen in found
            if seen.node.name in without
        ),
        without=without,
        why=why,
    )


def _primary(present: Sequence[Found], wanted: str) -> tuple[Node, str]:
    told = "; ".join(f"{seen.node}: {seen}" for seen in present)
    writable = [seen.node for seen in present if seen.writable]
    named = next((seen.node for seen in present if seen.node.name == wanted), None)
    if wanted and named is None:
        raise SettingsError(
            f"the parameter primary names {wanted!r}, which is no node of this restore",
            detail=told,
            hint=f"Name one of {', '.join(str(seen.node) for seen in present) or 'its nodes'}.",
        )
    if len(writable) == 1 and named is not None and named.name != writable[0].name:
        raise CheckFailed(
            f"{writable[0]} is the primary, and the parameter primary names {named}",
            detail=told,
            hint=f"Leave primary empty; or leave {writable[0]} out, or promote {named} first.",
        )
    if len(writable) == 1:
        return writable[0], "it accepts writes now"
    begun = [seen.node for seen in present if seen.begun]
    if named is not None:
        return named, f"named by the parameter primary; {len(writable)} nodes accept writes"
    if not writable and len(begun) == 1:
        return begun[0], "a restore of the cluster was begun there and has not come to its end"
    raise NoPrimary(
        f"{len(writable) or 'no'} nodes accept writes: which becomes the primary?",
        detail=told,
        hint="Find out which one is right, and name it: primary=NODE. Nothing was changed.",
        found=present,
    )


def _find(node: Node) -> Found:
    try:
        node.host.read("true")
    except (Unreachable, CommandFailed) as error:
        return Found(node, unreachable=error.message)
    try:
        node = node.located()
    except Unreachable:
        return Found(node)
    try:
        state = look(node)
    except (Unreachable, CommandFailed):
        state = None
    control = _control(node) if state is None else None
    return Found(node, state=state, control=control, begun=_is_begun(node))


def _control(node: Node) -> ControlData | None:
    command = pg_ctl.controldata(
        node.program("pg_controldata"), node.data_directory, user=node.os_user
    )
    try:
        return parse_controldata(node.host.attempt(command).stdout)
    except CommandFailed:
        return None


def _is_begun(node: Node) -> bool:
    place = whole_place(look_at(node.host, node.data_directory, node.os_user))
    return bool(StopClock(node.host, node.os_user, place.stopped).started_by())
