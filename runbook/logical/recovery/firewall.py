"""Clients from outside kept away from a server's port, by nft, until the kernel itself forgets it.

The nodes of the cluster and what runs on the host itself still come in. Nobody else is disturbed:
what the machine only passes on (other containers' traffic) goes through, and where the server
listens on some addresses of its machine alone, another one may listen on the same port of others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from runbook.actions import Action, Execute
from runbook.hosts import Command
from runbook.postgres import Node

# One transaction, whatever was there before. Before port forwarding, so that the port of a
# container is closed as well. When its element has expired, the rule matches no port any more.
_TABLE = """\
table inet {table}
delete table inet {table}
table inet {table} {{
  set closed {{ type inet_service; flags timeout; elements = {{ {port} timeout {seconds}s }}; }}
  chain arriving {{
    type filter hook prerouting priority -150; policy accept;
    iifname "lo" accept
{accepted}{rules}
  }}
}}
"""
_RULE = "    {where}tcp dport @closed {verdict}"
_REJECTS_SINCE = (5, 9)
"""The first kernel that rejects before routing; an older one takes no such rule at all."""
_OWN = "fib daddr type local "
_LISTENING = "SELECT current_setting('listen_addresses') AS addresses"
_EVERYWHERE = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - what is looked for


@dataclass(frozen=True)
class PortBlock:
    """The block of one server's port, with the addresses that may still come.

    `listening` names the addresses that the server has; empty: all of its machine's.
    """

    node: Node
    nodes: Sequence[Node]
    expires: timedelta
    listening: Sequence[str] = ()

    @property
    def table(self) -> str:
        """Name the table of nft that is ours alone."""
        plain = re.sub(r"\W", "_", self.node.name, flags=re.ASCII)
        return f"pg_runbooks_{plain}_{self.node.port}"

    def is_possible(self) -> bool:
        """Tell whether nft is there and may be used."""
        command = Command(("nft", "list", "tables"), user="root", timeout=60)
        return self.node.host.attempt(command).exit_code == 0

    def stands(self) -> bool:
        """Tell whether the port is closed now."""
        return "expires" in self._listed()

    def is_gone(self) -> bool:
        """Tell whether nothing of ours is in the packet filter."""
        return not self._listed()

    def close(self) -> tuple[Action, ...]:
        """Keep new clients away, and let the kernel end that by itself. Ref.: nft(8)"""
        rules = _TABLE.format(
            table=self.table,
            port=self.node.port,
            seconds=int(self.expires.total_seconds()),
            accepted="".join(f"    {line} accept\n" for line in self._accepted()),
            rules="\n".join(self._rules()),
        )
        return (self._nft(("-f", "-"), rules),)

    def open(self) -> tuple[Action, ...]:
        """Let everybody in again. Ref.: nft(8)"""
        return (self._nft(("delete", "table", "inet", self.table)),)

    def _accepted(self) -> list[str]:
        addresses = sorted({found for node in self.nodes for found in self._found(node.address)})
        return [
            f"{_family(address)} saddr {address}"
            for address in addresses
            if not ipaddress.ip_address(address).is_loopback
        ]

    def _rules(self) -> list[str]:
        addresses = sorted({found for name in self.listening for found in self._found(name)})
        where = [f"{_family(address)} daddr {address} " for address in addresses]
        ending = verdict(self.node.host.read("uname", "-r"))
        return [_RULE.format(where=_OWN + each, verdict=ending) for each in where or [""]]

    def _found(self, name: str) -> set[str]:
        """Give the addresses of a name as the server's host knows them."""
        said = self.node.host.read("getent", "ahosts", name)
        return {line.split()[0].partition("%")[0] for line in said.splitlines() if line.strip()}

    def _listed(self) -> str:
        argv = ("nft", "list", "table", "inet", self.table)
        done = self.node.host.run(Command(argv, user="root", ok=(0, 1), timeout=60))
        return done.stdout if done.exit_code == 0 else ""

    def _nft(self, arguments: tuple[str, ...], stdin: str = "") -> Action:
        command = Command(("nft", *arguments), user="root", stdin=stdin, timeout=60)
        return Execute(self.node.host, command)


def verdict(release: str) -> str:
    """Say what becomes of new connections on a kernel: told at once, or left to wait.

    Ref.: Linux 5.9, reject of nf_tables at the prerouting stage
    """
    found = re.match(r"(\d+)\.(\d+)", release)
    known = found is not None and (int(found[1]), int(found[2])) >= _REJECTS_SINCE
    return "reject with tcp reset" if known else "drop"


def listening(node: Node) -> tuple[str, ...]:
    """Ask for the addresses that a server listens on; empty: all.

    A server in a container says what it has there, and not what the port of its host leads to.
    """
    if node.console != node.host:
        return ()
    said = str(node.ask(_LISTENING)[0]["addresses"])
    names = tuple(name.strip() for name in said.split(",") if name.strip())
    return () if _EVERYWHERE & set(names) else names


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"
