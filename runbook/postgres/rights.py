"""The rights that a login needs to stop, hold down and start a server: asked before an outage."""

from __future__ import annotations

import shlex

from runbook.hosts import Command
from runbook.postgres.node import Node


def lacking(node: Node) -> tuple[str, ...]:
    """Give what sudo does not let the login run of the node's service, as sudoers names it."""
    refused = (_named(each) for each in _commands(node) if not node.host.allows(each))
    return tuple(dict.fromkeys(refused))


def others_with_a_shell(node: Node) -> tuple[str, ...]:
    """Name the other users that the service needs a shell of."""
    users = (each.user for each in _commands(node) if each.argv[0] == "sh")
    return tuple(dict.fromkeys(user for user in users if user))


def _named(command: Command) -> str:
    line = "sh -c *" if command.argv[0] == "sh" else shlex.join(command.argv)
    return f"({command.user}) {line}"


def _commands(node: Node) -> tuple[Command, ...]:
    service = node.service
    wanted = (*service.stopping(node), *service.release(node), *service.start(node))
    return tuple(dict.fromkeys(wanted))
