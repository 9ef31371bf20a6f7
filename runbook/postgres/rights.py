"""The rights that a login needs to stop, hold down and start a server: asked before an outage."""

from __future__ import annotations

import shlex

from runbook.hosts import Command, Host
from runbook.postgres.node import Node


def lacking(node: Node) -> tuple[str, ...]:
    """Give what sudo does not let the login run of the node's service, as sudoers names it.

    Of a single command sudo does not tell whether it wants a password: a shell is tried.
    """
    refused = (_named(each) for each in _commands(node) if not _is_possible(node.host, each))
    return tuple(dict.fromkeys(refused))


def _is_possible(host: Host, command: Command) -> bool:
    if command.argv[0] == "sh":
        return host.holds("sh", "-c", ":", user=command.user)
    return host.allows(command)


def _named(command: Command) -> str:
    line = "sh -c *" if command.argv[0] == "sh" else shlex.join(command.argv)
    return f"({command.user}) {line}"


def _commands(node: Node) -> tuple[Command, ...]:
    service = node.service
    wanted = (*service.stopping(node), *service.release(node), *service.start(node))
    return tuple(dict.fromkeys(wanted))
