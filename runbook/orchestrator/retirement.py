"""The end of the old Orchestrator: where the way into it leads, and who answers in its name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

from runbook.goals import Need
from runbook.hosts import Ssh
from runbook.orchestrator.doors import Doors, has_twin
from runbook.orchestrator.former import FormerOrchestrator, Reach, addresses, resolved
from runbook.orchestrator.places import Live

_SSH_PORT = 22
_ENDING_SECONDS = 1.0
_WAYS: dict[Reach, str] = {
    "old": "one can log in",
    "new": "the way into it leads to the new one, which has its address now",
    "closed": "a machine answers there, and lets nobody in",
    "unknown": "nobody can tell what is there: no way to ask, or no readable database system in "
    "its data directory",
    "silent": "nobody answers there",
    "nameless": "nobody knows the address of its name",
}


@dataclass(frozen=True)
class Retirement:
    """The old Orchestrator, the new one, and the addresses that the new one has."""

    old: FormerOrchestrator
    new: Live
    addresses: frozenset[str]

    @property
    def has_address(self) -> bool:
        """Tell whether the new one has the address of the old one."""
        return self.old.address in self.addresses

    @cached_property
    def reach(self) -> Reach:
        """Tell where the way into the old one leads, as asked once in this walk."""
        return self.reaches()

    def reaches(self) -> Reach:
        """Tell where the way into the old one leads now."""
        return self.old.reach(self.new.node)

    def told(self) -> str:
        """Tell in words where it leads, and why nobody can log in."""
        why = self.old.refusal() if self.reach in {"closed", "silent", "unknown"} else ""
        return f"{_WAYS[self.reach]}{f' ({why})' if why else ''}"

    def is_out(self) -> bool:
        """Tell whether nothing of it runs or would be started, as far as one can log in."""
        reach = self.reaches()
        if reach != "old":
            return reach in {"new", "silent"} or reach == self.reach == "nameless"
        old = self.old
        return old.is_stopped() and all(map(old.is_out, old.services)) and not self.strangers()

    def running(self) -> str:
        """Tell what of it runs, or would be started."""
        reach, old = self.reaches(), self.old
        if reach != "old":
            return _WAYS[reach]
        runs = [] if old.is_stopped() else [f"PostgreSQL in {old.data_directory}"]
        runs += [str(service) for service in old.services if not old.is_out(service)]
        runs += [f"process {process} of a server" for process in self.strangers()]
        return f"there runs, or would be started: {', '.join(runs) or 'nothing'}"

    def strangers(self) -> tuple[str, ...]:
        """List the servers that run on its machine, where none may."""
        return () if self.old.shared else self.old.servers()

    def neighbours(self) -> tuple[str, ...]:
        """List the servers that run on its machine in other directories than its own."""
        beside = self.old.data_directory
        seen = () if self.old.shared else self.old.servers(beside=beside)
        if not seen:
            return ()
        # A process that ends has no directory any more: only one that stays is another server's.
        time.sleep(_ENDING_SECONDS)
        still = self.old.servers(beside=beside)
        return tuple(process for process in seen if process in still)

    def doors(self) -> Doors:
        """Give the places that nobody may answer at: none of an address that the new one has.

        SSH may answer where one has logged in and seen that the old one is out, nowhere else.
        """
        its = [f"{address}:{self.old.port}" for address in self._there()]
        strange = self.strange_doors()
        return Doors((*its, *strange.places), strange.witness)

    def strange_doors(self) -> Doors:
        """Give those of SSH that are of no machine which one has logged in to."""
        ssh = self._ssh()
        strange = [address for address in self._there() if not resolved(address) & self._entered]
        places = tuple(f"{address}:{ssh.get(address, _SSH_PORT)}" for address in strange)
        return Doors(places, self.new.node.host)

    def _ssh(self) -> dict[str, int]:
        way = self.old.host.way.machine
        return {way.address: way.port} if isinstance(way, Ssh) and way.jump is None else {}

    def _there(self) -> list[str]:
        known = dict.fromkeys((self.old.address, *self._ssh()))
        return [address for address in known if not resolved(address) & self.addresses]

    @cached_property
    def _entered(self) -> frozenset[str]:
        """Give the addresses of the old one's machine, where one can log in to it."""
        return addresses(self.old.host) if self.reach == "old" else frozenset()

    def is_silent(self, looks: int = 1) -> bool:
        """Tell whether nobody answers in its name, and no second machine has its address."""
        return self.doors().stay_shut(looks) and not self.has_twin()

    def has_twin(self) -> bool:
        """Tell whether another machine has the address of the old one beside the new one."""
        return self.has_address and has_twin(self.new.node.host, self.old.address) is True

    def answering(self) -> str:
        """Tell who answers."""
        twin = (f"another machine has {self.old.address}, too",) if self.has_twin() else ()
        return ", ".join((*self.doors().answering(), *twin))

    def needs(self) -> tuple[Need, ...]:
        """Give what must hold whenever something of the new one is changed for good."""
        return (
            Need(
                f"{self.old}, the old Orchestrator, is out of service",
                self.is_out,
                seen=self.running,
                hint=f"Something has started it again. Power {self.old} off, and start again.",
            ),
            Need(
                f"nobody answers in the name of {self.old}",
                self.is_silent,
                seen=self.answering,
                hint=f"{self.old} still runs. Two Orchestrators must not live.",
            ),
        )
