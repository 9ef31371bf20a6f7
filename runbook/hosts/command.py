"""One command line, as a value: it prints as a DBA would type it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

# Patience and language of our own reading, which nobody would type.
_UNSAID = ("PGCONNECT_TIMEOUT", "PGAPPNAME", "PGOPTIONS", "LC_ALL")
# sudo takes NAME=value before the command, runuser does not.
_ASSIGNED = re.compile(r"\w+=")

# Ends a command and all its descendants when the way in is lost: the worker holds the other end of
# stdin, and a killed worker or a cut connection closes it. What the command itself leaves running
# when it ends, such as the second process of a pg_basebackup that was killed, ends with it.
# The shell itself says nothing: a word of it (dash tells of a killed job) into a closed connection
# would end it before its work is done. It outlives a failed command by a second: the network of a
# one-shot container goes with it, and a server whose last data nobody refused would wait for a
# quarter of an hour. dash knows no `kill -0 --`. Until setsid has run there is no group to end.
_LEASH = """exec 3<&0
trap : TERM
setsid "$@" </dev/null 3<&- & pid=$!
exec >/dev/null 2>&1
{ trap '' TERM; cat <&3; kill -s TERM -- "-$pid" || kill -s TERM "$pid"
  for second in 1 2 3 4 5; do sleep 1; kill -s 0 -- "-$pid" || exit; done
  kill -s KILL -- "-$pid"; } & leash=$!
exec 3<&-
wait "$pid"; code=$?
while kill -0 "$pid"; do wait "$pid"; code=$?; done
kill -s TERM -- "-$pid" && { sleep 1; kill -s KILL -- "-$pid"; }
kill -s KILL "$leash"
[ "$code" -eq 0 ] || sleep 1
exit "$code"
"""

# Takes one line of a password file from stdin, so that it is in no argv and in no environment.
_PASSFILE = """umask 077
PGPASSFILE=$(mktemp) || exit 1
export PGPASSFILE
trap 'rm -f "$PGPASSFILE"' EXIT
trap 'exit 143' TERM HUP INT
IFS= read -r line && printf '%s\\n' "$line" >"$PGPASSFILE" || exit 1
"$@"
"""


@dataclass(frozen=True)
class Command:
    """A command for a host: argv, the operating system user it runs as, and its environment.

    argv holds no secret; `passfile` is one line of a PostgreSQL password file and travels by stdin.
    `stdin` is text for the command's own standard input, shown as `***` when `confidential`.
    `shown` is the line that a person would type, in place of a script of ours. A
    `leashed` command dies with everything it started when the way in is lost. `ok` are the exit
    codes that mean success; `timeout` is in seconds (None: as long as it takes).
    """

    argv: tuple[str, ...]
    user: str = ""
    env: tuple[tuple[str, str], ...] = ()
    passfile: str = field(default="", repr=False)
    stdin: str = field(default="", repr=False)
    confidential: bool = False
    directory: str = ""
    leashed: bool = False
    ok: tuple[int, ...] = (0,)
    timeout: float | None = None
    shown: str = ""

    def __str__(self) -> str:
        if self.shown:
            return self.shown
        words = [f"{name}={shlex.quote(value)}" for name, value in self.env if name not in _UNSAID]
        words += ["PGPASSFILE=***"] if self.passfile else []
        words.append(shlex.join(self.argv))
        line = " ".join(words)
        if self.directory:
            line = f"cd {shlex.quote(self.directory)} && {line}"
        if self.stdin:
            text = "***" if self.confidential else self.stdin.rstrip()
            line = f"{line} <<'EOF'\n{text}\nEOF"
        return line

    def typed(self, login: str) -> str:
        """Give the line that a person types who is logged in as `login`: root may have no sudo."""
        line = str(self)
        if not self.user or self.user == login:
            return line
        if login == "root":
            return f"runuser -u {self.user} -- {'env ' if _ASSIGNED.match(line) else ''}{line}"
        return f"sudo -u {self.user} {line}"

    def wrapped(self, login: str) -> tuple[str, ...]:
        """Give the argv that really runs when logged in as `login`: user, directory, leash."""
        argv = self.argv
        if self.env:
            argv = ("env", *(f"{name}={value}" for name, value in self.env), *argv)
        if self.directory:
            argv = ("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", self.directory, *argv)
        if self.leashed:
            argv = ("sh", "-c", _LEASH, "leash", *argv)
        if self.passfile:
            argv = ("sh", "-c", _PASSFILE, "passfile", *argv)
        if not self.user or self.user == login:
            return argv
        if login == "root":
            return ("/usr/sbin/runuser", "-u", self.user, "--", *argv)
        return ("sudo", "-n", "-u", self.user, "--", *argv)

    def input(self) -> bytes:
        """Give the bytes for standard input: the password line first, where there is one."""
        first = f"{self.passfile}\n" if self.passfile else ""
        return (first + self.stdin).encode()


@dataclass(frozen=True)
class Completed:
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float = 0.0
