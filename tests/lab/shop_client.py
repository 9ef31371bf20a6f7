"""An application of the loopback lab: started and stopped over SSH by commands of its own."""

from __future__ import annotations

import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.counting import History, read_history
from tests.lab.postgres import PASSWORD, PostgresNode
from tests.lab.sshd import Host

VERBS = ("start", "stop", "running")

_SETTINGS = """\
# The shop's application. It reads this file when it starts, and only then.
services:
  shop:
    restart: always
    environment:
      DATABASE_HOST: {address}  # repointed after a promotion
      PGCONNECT_TIMEOUT: "2"
"""

_SCRIPT = """\
#!/bin/sh
# start | stop | running
directory={directory}
running() {{
    pid=$(cat "$directory/pid" 2>/dev/null) || return 1
    tr '\\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "$directory/journal"
}}
case $1 in
start)
    running && exit 0
    cd {root} || exit 2
    COUNTING_SETTINGS=$directory/docker-compose.yml
    COUNTING_CONNINFO='port={port} dbname=shop user=postgres password={password} connect_timeout=2'
    export COUNTING_SETTINGS COUNTING_CONNINFO
    setsid {python} -m tests.lab.counting "$directory/journal" \\
        </dev/null >>"$directory/log" 2>&1 &
    echo $! >"$directory/pid"
    ;;
stop)
    running || exit 0
    kill "$pid"
    kill -CONT "$pid" 2>/dev/null
    for look in $(seq 100); do running || exit 0; sleep 0.05; done
    kill -9 "$pid"
    ;;
running) running ;;
*) exit 2 ;;
esac
"""


@dataclass(frozen=True)
class ShopClient:
    """A counting client on a host; its database's address stands in a compose file."""

    host: Host

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def directory(self) -> Path:
        return self.host.directory / "shop"

    @property
    def settings(self) -> Path:
        """The file that names the database's address, as `DATABASE_HOST:`."""
        return self.directory / "docker-compose.yml"

    @property
    def database(self) -> str:
        """The address in the file."""
        found = re.search(r"DATABASE_HOST[:=]\s*(\S+)", self.settings.read_text())
        return found[1] if found else ""

    @property
    def history(self) -> History:
        """What the application was told since it was last started."""
        journal = self.directory / "journal"
        return read_history(journal) if journal.exists() else History("", ())

    @property
    def pid(self) -> int:
        """Its process id, 0 when it does not run."""
        file = self.directory / "pid"
        pid = int(file.read_text() or 0) if file.exists() else 0
        return pid if pid and pid in self._processes() else 0

    def command(self, verb: str) -> tuple[str, ...]:
        """Give the command for start, stop or running, to be run on the host as root."""
        return ("sh", str(self.directory / "app.sh"), verb)

    def start(self) -> None:
        processes.run(self.command("start"), mark=self.host.lab)

    def stop(self) -> None:
        processes.run(self.command("stop"), mark=self.host.lab)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, while which it runs but writes nothing."""
        if self.pid:
            processes.send(self.pid, number)

    def _processes(self) -> list[int]:
        return processes.members("none", self.directory)


def install_client(host: Host, database: PostgresNode) -> ShopClient:
    """Write the application's files on a host; it is not started."""
    client = ShopClient(host)
    client.directory.mkdir(mode=0o755)
    client.settings.write_text(_SETTINGS.format(address=database.host.address))
    script = _SCRIPT.format(
        directory=client.directory,
        root=Path(__file__).parents[2],
        python=sys.executable,
        port=database.port,
        password=PASSWORD,
    )
    (client.directory / "app.sh").write_text(script)
    return client
