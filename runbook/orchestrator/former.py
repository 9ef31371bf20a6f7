"""The Orchestrator that a new one replaces: its PostgreSQL, and what else of it must not run."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from runbook.actions import Action, Execute
from runbook.errors import CommandFailed, HostUnreachable, LoginRefused, Unreachable
from runbook.hosts import Command, Host, Ssh
from runbook.postgres import Node

# A unit whose file was written by hand, into /etc/systemd/system, cannot be masked.
_HOLD = 'systemctl mask "$1" || systemctl disable "$1"'
_IS_OUT = """
case $(systemctl is-enabled "$1" 2>/dev/null) in masked|disabled) ;; *) exit 1;; esac
case $(systemctl is-active "$1" 2>/dev/null) in inactive|failed) exit 0;; *) exit 1;; esac
"""


class HeldUnit(BaseModel):
    """A systemd unit: stopped, and masked or disabled, so that a reboot does not start it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["systemd"] = "systemd"
    unit: str = Field(min_length=1, description="Name of the unit.")

    def __str__(self) -> str:
        return self.unit

    def taking_out(self) -> tuple[Command, ...]:
        """Ref.: systemctl(1), stop, mask and disable"""
        shown = f"systemctl mask {self.unit} || systemctl disable {self.unit}"
        return (
            Command(("systemctl", "stop", self.unit), user="root"),
            Command(("sh", "-c", _HOLD, "hold", self.unit), user="root", shown=shown),
        )

    def is_out(self) -> Command:
        """Ref.: systemctl(1), is-enabled and is-active"""
        return Command(("sh", "-c", _IS_OUT, "is-out", self.unit), timeout=60)


class HeldByCommands(BaseModel):
    """A service that commands of its own stop, and keep from being started."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["commands"] = "commands"
    name: str = Field(min_length=1, description="Name of the service in plans and records.")
    stop_command: tuple[str, ...] = Field(min_length=1, description="Stops it and returns.")
    hold_command: tuple[str, ...] = Field(
        min_length=1, description="After it nothing starts the service, not even a reboot."
    )
    out_command: tuple[str, ...] = Field(
        min_length=1, description="Exits with 0 while it does not run, and would not be started."
    )
    user: str = Field(default="", description="Operating system user; empty: the login.")

    def __str__(self) -> str:
        return self.name

    def taking_out(self) -> tuple[Command, ...]:
        """Give the commands that stop it and hold it down."""
        commands = (self.stop_command, self.hold_command)
        return tuple(Command(argv, user=self.user, timeout=300) for argv in commands)

    def is_out(self) -> Command:
        """Give the command that tells whether it is out of service for good."""
        return Command(self.out_command, user=self.user, timeout=60)


AnyHeld = Annotated[HeldUnit | HeldByCommands, Field(discriminator="kind")]

Reach = Literal["old", "new", "closed", "unknown", "silent", "nameless"]
"""Where the way into the old Orchestrator leads: to it; to the new one; to a machine that lets
nobody in; nobody knows where, or it is not found there; to silence; its name has no address."""

WHEREABOUTS = """cat /proc/sys/kernel/random/boot_id && {
  stat -L -c %d:%i -- "$1" 2>/dev/null || echo nowhere; }
"""
"""Tells which boot of which kernel answers, and which directory has a name there."""

SERVERS = """for process in /proc/[0-9]*; do
  read -r name <"$process/comm" || continue
  case $name in postgres|postmaster) ;; *) continue;; esac
  [ "$process/cwd" -ef "$1" ] || echo "${process#/proc/}"
done 2>/dev/null
exit 0
"""
"""Lists the processes of every PostgreSQL server that works in another directory than this."""


class FormerOrchestrator(Node):
    """The PostgreSQL of the old Orchestrator, and what else runs there."""

    address: str = Field(
        description="IP address that the hosts of the platform know the Orchestrator by."
    )
    data_directory: str = Field(pattern="^/.+", description="Needed, for it may be down.")
    bin_directory: str = Field(pattern="^/.+", description="PostgreSQL's programs there.")
    services: tuple[AnyHeld, ...] = Field(
        default=(), description="What else of the Orchestrator runs there; stopped and held, too."
    )
    shared: bool = Field(
        default=False,
        description="Other PostgreSQL servers may run on its machine: only its own one is judged.",
    )

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))

    def reach(self, new: Node) -> Reach:
        """Tell where the way into it leads.

        Machines are told apart by their boot, and servers on one machine by their directory: VMs
        of one image have the same system identifier.
        """
        its = _whereabouts(new)
        try:
            if self._is_nameless():
                return "nameless"
            self._insist_on_way()
            mine = _whereabouts(self)
            if mine[0] == its[0] and mine[1] in {"nowhere", its[1]}:
                return "new"
            return "old" if self.readable_controldata() else "unknown"
        except LoginRefused:
            return "closed"
        except HostUnreachable:
            return "silent"
        except (Unreachable, CommandFailed):
            return "unknown"

    def refusal(self) -> str:
        """Tell why nobody can log in; empty where one can."""
        try:
            done = self.host.attempt(Command(("true",), timeout=30))
        except Unreachable as error:
            return error.message
        return "" if done.exit_code == 0 else f"{self.host}: exit code {done.exit_code}"

    def servers(self, *, beside: str = "") -> tuple[str, ...]:
        """List the processes of every PostgreSQL on its machine, but for those in a directory."""
        # Its own user may see where its own processes work; and the login, perhaps, more of others.
        user = self.os_user if beside else ""
        return tuple(self.host.read("sh", "-c", SERVERS, "servers", beside, user=user).split())

    def taking_out(self, service: AnyHeld) -> tuple[Action, ...]:
        """Give what stops a service and holds it down."""
        return tuple(Execute(self.host, command) for command in service.taking_out())

    def is_out(self, service: AnyHeld) -> bool:
        """Tell whether a service does not run, and would not be started."""
        return self.host.attempt(service.is_out()).exit_code == 0

    def _is_nameless(self) -> bool:
        way = self.host.way.machine
        return isinstance(way, Ssh) and way.jump is None and not resolved(way.address)

    def _insist_on_way(self) -> None:
        """Insist that the jump host lets one in: else silence behind it tells nothing."""
        way = self.host.way.machine
        if isinstance(way, Ssh) and way.jump is not None:
            try:
                Host(name=way.jump.address, way=way.jump).run(Command(("true",), timeout=30))
            except HostUnreachable as error:
                raise Unreachable(error.message, detail=error.detail, hint=error.hint) from error


def addresses(host: Host) -> frozenset[str]:
    """Give the addresses of a host: those it has, and the one that the worker reaches it at.

    Ref.: hostname(1), -I
    """
    done = host.ask(Command(("hostname", "-I"), timeout=60))
    words = done.stdout.split() if done.exit_code == 0 else []
    machine = host.way.machine
    way = resolved(machine.address) if isinstance(machine, Ssh) else frozenset()
    return frozenset(str(ipaddress.ip_address(word)) for word in words) | way


def resolved(name: str) -> frozenset[str]:
    """Give the addresses of a name, as the worker knows them; none where it knows none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(
        str(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found
    )


def _whereabouts(node: Node) -> tuple[str, str]:
    argv = ("sh", "-c", WHEREABOUTS, "whereabouts", node.directory())
    boot, directory = node.host.read(*argv, user=node.os_user).split()
    return boot, directory
