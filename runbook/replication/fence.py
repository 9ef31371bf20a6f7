"""A fence: the old primary is out of service, and from nowhere can it be reached any more."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.hosts import Command
from runbook.postgres import Node

_PROBE_SECONDS = 1.0
_FAST_SECONDS = 10

# Ends what works in a data directory: first as pg_ctl does, so that a living server can still send
# its last WAL to the standbys; then for good. Also processes that were stopped with SIGSTOP.
_END = """
directory=$1; patience=$2; pg_ctl=$3
found() {
  for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    case $name in postgres|postmaster) ;; *) continue;; esac
    if [ "$process/cwd" -ef "$directory" ]; then echo "${process#/proc/}"; fi
  done 2>/dev/null
}
"$pg_ctl" stop -D "$directory" -m fast -w -t "$patience" && exit 0
looks=50
while pids=$(found); [ -n "$pids" ]; do
  kill -KILL $pids 2>/dev/null
  looks=$((looks - 1)); [ "$looks" -gt 0 ] || exit 1
  sleep 0.1
done
exit 0
"""


@dataclass(frozen=True)
class Silence:
    """Whether a server that must be out of service still answers, asked from two sides.

    `address` is the host and port that clients and standbys reach it at; `witness` a standby.
    """

    address: str
    witness: Node

    def from_worker(self) -> bool:
        """Tell whether nobody takes a connection of the worker; no answer in 1 s counts as that."""
        host, _, port = self.address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS):
                return False
        except OSError:
            return True

    def from_witness(self) -> bool:
        """Tell whether pg_isready on the standby gets no answer at all."""
        host, _, port = self.address.rpartition(":")
        argv = (self.witness.program("pg_isready"), "-h", host, "-p", port, "-t", "1")
        done = self.witness.host.attempt(Command(argv, user=self.witness.os_user, timeout=20))
        return done.exit_code == 2

    def lasts(self, looks: int, pause: float = 0.3) -> bool:
        """Look several times from both sides; False as soon as anybody answers."""
        with ThreadPoolExecutor(max_workers=1) as beside:
            for look in range(looks):
                time.sleep(pause if look else 0.0)
                witness = beside.submit(self.from_witness)
                if not (self.from_worker() and witness.result()):
                    return False
        return True


def ending(node: Node) -> tuple[Action, ...]:
    """Hold the service down, and end the server: in good order, or after 10 s for good."""
    directory = node.directory()
    argv = ("sh", "-c", _END, "end", directory, str(_FAST_SECONDS), node.program("pg_ctl"))
    shown = (
        f"{node.program('pg_ctl')} stop -D {directory} -m fast "
        f"-t {_FAST_SECONDS} || kill -KILL <every process of the server in {directory}>"
    )
    command = Command(argv, user=node.os_user, timeout=_FAST_SECONDS + 30.0, shown=shown)
    holds = tuple(Execute(node.host, held) for held in node.service.hold(node))
    return (*holds, Execute(node.host, command))


def is_held(node: Node) -> bool:
    """Tell whether the service manager keeps the server down; False where it has no such thing."""
    held = node.service.held(node)
    return held is not None and node.host.attempt(held).exit_code == 0


def can_be_held(node: Node) -> bool:
    """Tell whether the service manager knows how to keep a server down."""
    return node.service.held(node) is not None
