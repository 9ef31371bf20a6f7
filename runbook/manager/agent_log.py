"""The log of the backup agent on a node: the only one that sees a restore of the manager."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.hosts import Command, Host
from runbook.manager.marks import LogPosition
from runbook.postgres import Node

_WHERE = r"""stat -c '%i %s' -- "$1" || exit 1
[ -r "$1" ] || exit 1
"""
# Gives inode and size, and what stands behind a position, as far as it tells how a restore goes:
# of the requests, the restores and what was refused. The manager asks for its order all the time.
# A file that was renamed since, by its inode, is read first; not a copy, whose age nobody knows.
# Arguments: path, position, lines at most, inode.
_READ = (
    _WHERE
    + r"""told() {
  tail -c "+$2" -- "$1" |
    grep -aE '"POST /v1/(restore HTTP|[^"]*" [^2])|(INFO|WARN|ERROR|FATAL) -- :' | tail -n "$3"
}
if [ "$(stat -c %i -- "$1")" != "$4" ]; then
  for old in "$1"[.-]*; do
    if [ "$(stat -c %i -- "$old")" = "$4" ]; then told "$old" "$2" "$3"; fi
  done 2>/dev/null
  set -- "$1" 1 "$3"
elif [ "$(stat -c %s -- "$1")" -lt $(($2 - 1)) ]; then
  set -- "$1" 1 "$3"
fi
told "$1" "$2" "$3"
true
"""
)
_MOST = 2000
_ACCESS = re.compile(r'"POST (/v1/\w+) HTTP/[\d.]+" (\d{3})')
_LOGGED = re.compile(r"(INFO|WARN|ERROR|FATAL) -- : ?(.*)")
_RESTORE = "/v1/restore"
_SHOWN = 200


@dataclass(frozen=True)
class Line:
    """One line that tells something: a request with its status, or a message with its level.

    Who has sent a request stands in the log, too, and is left out: it may be a credential.
    """

    level: str
    text: str

    @property
    def is_restore(self) -> bool:
        """Tell whether a restore was ordered here and accepted."""
        return self.level == "POST" and self.text.startswith(f"{_RESTORE} 2")

    @property
    def is_success(self) -> bool:
        """Tell whether the agent says that it has succeeded."""
        return self.level == "INFO" and self.text.strip() == "success"

    @property
    def is_trouble(self) -> bool:
        """Tell whether the agent says that something went wrong."""
        refused = self.level == "POST" and not self.text.rpartition(" ")[2].startswith("2")
        return refused or self.level in ("ERROR", "FATAL")

    def __str__(self) -> str:
        return f"{self.level} {self.text}"


@dataclass(frozen=True)
class Seen:
    """What a log tells behind a position.

    `at` is where it ends now. `is_cut`: lines are missing, for it is a new or a shortened file, or
    tells too much. `is_begun`: the restore has begun, whether or not the lines still tell it;
    `is_over`: they told its success before, unless another has begun. `unread` tells why nobody
    could look.
    """

    lines: tuple[Line, ...]
    at: LogPosition | None = None
    is_cut: bool = False
    is_begun: bool = False
    is_over: bool = False
    unread: str = ""

    @property
    def restores(self) -> int:
        """Count the restores that were begun."""
        return sum(line.is_restore for line in self.lines)

    @property
    def has_succeeded(self) -> bool:
        """Tell whether the last restore that was begun has succeeded."""
        was_over = self.is_over and not self.restores
        return was_over or any(line.is_success for line in self._of_the_last)

    @property
    def trouble(self) -> str:
        """Give what went wrong since the last restore began; empty where nothing did."""
        wrong = [str(line) for line in self._of_the_last if line.is_trouble]
        return "\n".join(wrong[-5:])

    @property
    def last(self) -> str:
        """Give the last line."""
        return self.unread or (str(self.lines[-1]) if self.lines else "nothing yet")

    @property
    def _of_the_last(self) -> tuple[Line, ...]:
        begins = [at for at, line in enumerate(self.lines) if line.is_restore]
        if not begins:
            return self.lines if self.is_begun else ()
        return self.lines[begins[-1] :]


@dataclass(frozen=True)
class AgentLog:
    """The log on one node's machine."""

    node: str
    host: Host
    path: str
    user: str

    def position(self) -> LogPosition:
        """Give where it ends now; CheckFailed where it cannot be read."""
        return self._at(self._answer(_WHERE)[0])

    def since(self, position: LogPosition) -> Seen:
        """Read what came later; from its beginning where it is a new or a shortened file."""
        head, *lines = self._answer(_READ, position.size + 1, _MOST, position.inode)
        at = self._at(head)
        told = tuple(line for text in lines if (line := _line(text)) is not None)
        return Seen(told, at, is_cut=not at.continues(position) or len(lines) >= _MOST)

    def shown(self) -> str:
        """Give the line that a person would type to follow it."""
        return self.host.shown(Command(("tail", "-f", self.path), user=self.user))

    def _at(self, head: str) -> LogPosition:
        inode, size = head.split()
        return LogPosition(node=self.node, inode=int(inode), size=int(size))

    def _answer(self, script: str, *arguments: int) -> list[str]:
        argv = ("sh", "-c", script, "read", self.path, *map(str, arguments))
        command = Command(argv, user=self.user, timeout=60)
        done = self.host.attempt(command)
        if done.exit_code != 0:
            raise CheckFailed(
                f"the log of the backup agent on {self.host} cannot be read",
                detail=f"{self.path}: {done.stderr.strip()[-_SHOWN:]}",
                hint="Set manager.log, and manager.log_user to somebody who may read it.",
            )
        return done.stdout.splitlines()


def agent_log(cluster: Cluster, node: Node) -> AgentLog:
    """Give the log on a node of a cluster."""
    assert cluster.manager is not None
    return AgentLog(node.name, node.host, cluster.manager.log, cluster.manager.log_user)


def _line(text: str) -> Line | None:
    access, logged = _ACCESS.search(text), _LOGGED.search(text)
    if access:
        return Line("POST", f"{access[1]} {access[2]}")
    return Line(logged[1], logged[2][:_SHOWN]) if logged else None
