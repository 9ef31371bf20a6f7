"""What a server defines, as its own pg_dumpall writes it, against what a dump defines.

Tables, views, functions, owners, grants, roles and their passwords, settings, extensions: all of
it is text. Rows are another matter: see comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runbook.hosts import Command
from runbook.hosts.process import Process
from runbook.logical.load import Contents, survey
from runbook.logical.load.definitions import CLUSTER
from runbook.logical.recovery.databases import databases
from runbook.postgres import Node
from runbook.tools import pg_dumpall


def are_comparable(node: Node, contents: Contents) -> bool:
    """Tell whether the node's own pg_dumpall writes as the one that wrote the dump."""
    said = node.console.attempt(
        pg_dumpall.version(node.program("pg_dumpall"), user=node.server_user)
    )
    mine = pg_dumpall.parse_version(said.stdout)[1] if said.exit_code == 0 else 0
    return str(mine) == contents.client_version.partition(".")[0]


def deviations(node: Node, contents: Contents, replaced: Collection[str]) -> list[str]:
    """Tell which definitions differ.

    Only the `replaced` databases must have nothing more than the dump: the cluster has roles of
    later and of others, and what the dump does not fill (template1) is left as it was.
    """
    return list(_between(contents, _defined(node, contents), replaced))


def deviating_roles(node: Node, contents: Contents) -> list[str]:
    """Tell what lacks of roles, their members and settings, where the versions differ."""
    server = _defined(node, contents)
    lacking = contents.definitions.lacking_roles(server.definitions)
    return [f"the cluster lacks: {text}" for text in lacking]


def _between(dump: Contents, server: Contents, replaced: Collection[str]) -> Iterator[str]:
    for name in (CLUSTER, *(each.name for each in dump.databases)):
        for text in dump.definitions.beyond(server.definitions, name):
            yield f"{name or 'the cluster'} lacks: {text}"
        if name in replaced:
            for text in server.definitions.beyond(dump.definitions, name):
                yield f"{name} has, and not in the backup: {text}"


def _defined(node: Node, dump: Contents) -> Contents:
    """Survey what the node's pg_dumpall writes of the databases that are in the dump."""
    command = pg_dumpall.definitions(
        node.program("pg_dumpall"),
        user=node.server_user,
        port=node.port,
        socket=node.socket_directory,
        name="pg-runbooks comparison",
        without=[name for name in databases(node) if dump.database(name) is None],
    )
    with node.console.running(command) as process:
        return survey(_written(node, command, process))


def _written(node: Node, command: Command, process: Process) -> Iterator[bytes]:
    """Give what pg_dumpall writes; why it failed is told before anything is made of its text."""
    while piece := process.read():
        yield piece
    code = process.wait()
    if code != 0:
        raise node.console.failed(command, code, process.stderr())
