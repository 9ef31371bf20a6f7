"""The platform's client at work on its machine."""

from __future__ import annotations

import shlex
import tarfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

from runbook.errors import CommandFailed, Damaged, Unreachable
from runbook.hosts import Command
from runbook.hosts.process import Process
from runbook.platform.settings import PlatformExports
from runbook.stores import NodeFolderStore, OpenStore, StoreSecret

EXPORT = """d=$(mktemp -d -- "$1/export.XXXXXX") || exit
trap 'trap "" TERM HUP INT; rm -rf -- "$d"' EXIT
trap 'exit 143' TERM HUP INT; trap '' PIPE
[ -z "$2" ] || { exec 9<"$1" && flock 9; } || exit
cd -- "$d" && umask 077 && ns=$2 && shift 2 || exit
made=.
{ [ -z "$ns" ] || "$1" ns "$ns" >&2; } && "$@" >&2 || made=.failed.$?
exec 9<&-
[ "$made" = . ] || { find . -mindepth 1 -delete && touch -- "$made"; } || exit
tar -cf - "$made"; code=$?; trap '' TERM HUP INT; exit "$code"
"""
"""Lets a command write into a folder that goes with it, and prints a tar of what it wrote.

A namespace is that of the whole login: who targets one holds a lock on the folder for files on
their way until the command has ended. A client that fails is told by the name of a file, which a
full disk still takes: its code is not one of the script's own, and a leash holds up the answer of a
failed command by a second. The shell's own word on a killed command, into a closed connection, must
not end it before `rm`; nor must a signal end `rm` itself, which hears it, too.
"""

IMPORT = """d=$1
trap 'trap "" TERM HUP INT; rm -rf -- "$d"' EXIT
trap 'exit 143' TERM HUP INT; trap '' PIPE
[ -z "$2" ] || { exec 9<"$1/.." && flock 9; } || exit
cd -- "$d" && ns=$2 && shift 2 || exit
[ -z "$ns" ] || "$1" namespace "$ns" || exit
"$@"; code=$?; trap '' TERM HUP INT; exit "$code"
"""
"""Lets a command read files of a folder that goes with it; with a namespace, under that lock."""

USABLE = '[ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ]'
"""Tells whether the folder for files on their way can be used."""

Exported = Generator[tuple[str, IO[bytes]]]
"""Names and contents of files, each to be read before the next."""

_COMING, _FAILED = "import-", ".failed."
_OWN_CODES = range(1, 126)
"""Exit codes of a client that has started, and that no signal has ended."""


class ClientFailed(CommandFailed):
    """The client itself has ended with a code of its own; its words are in `detail`."""


class _Output:
    """Standard output as a file; `check` raises when its end is not the command's own."""

    def __init__(self, process: Process, check: Callable[[], None]) -> None:
        self._process = process
        self._check = check

    def read(self, size: int = 1 << 20) -> bytes:
        got = b""
        try:
            while len(got) < size and (piece := self._process.read(size - len(got))):
                got += piece
        except (OSError, ValueError):  # it was closed while it was read
            self._check()
            raise
        self._check()
        return got


@dataclass(frozen=True)
class Client:
    """apc, as the settings have it."""

    settings: PlatformExports

    def __str__(self) -> str:
        return f"{self.settings.program} on {self.settings.client}"

    def is_there(self) -> bool:
        """Tell whether the program can be started."""
        argv = ("sh", "-c", 'command -v -- "$1" >/dev/null', "found", self.settings.program)
        return self.settings.client.holds(*argv, user=self.settings.user)

    def has_its_folder(self) -> bool:
        """Tell whether the folder for files on their way is there for its user."""
        argv = ("sh", "-c", USABLE, "usable", self.settings.directory)
        return self.settings.client.holds(*argv, user=self.settings.user)

    def shown(self, argv: Sequence[str], targeting: Sequence[str] = ()) -> str:
        """Give the lines that a person would type on the client's machine."""
        line = " && ".join(shlex.join(words) for words in (targeting, argv) if words)
        return self.settings.client.shown(Command((), shown=line))

    def exported(self, argv: Sequence[str], namespace: str = "") -> Exported:
        """Let it export, and give name and content of every file; nothing stays there.

        With a namespace, it targets that one first. CommandFailed or Damaged at the end: what was
        given before counts only with the end. ClientFailed where the client says no itself.
        """
        command = Command(
            ("sh", "-c", EXPORT, "export", self.settings.directory, namespace, *argv),
            user=self.settings.user,
            leashed=True,
            shown=shlex.join(argv),
        )
        host, damage, failed = self.settings.client, "", 0
        with host.running(command) as process, self._in_time(process, command) as check:
            output = _Output(process, check)
            try:
                for name, file in _files(cast("IO[bytes]", output)):
                    if name.startswith(_FAILED):
                        failed = int(name.removeprefix(_FAILED))
                    else:
                        yield name, file
            except tarfile.TarError as error:
                damage = str(error)
            while output.read():
                pass
            if code := process.wait():
                raise host.failed(command, code, process.stderr())
            if failed:
                raise _of_the_client(host.failed(command, failed, process.stderr()), failed)
        if damage:
            raise Damaged(f"the export by {self} came only in part", detail=damage)

    @contextmanager
    def _in_time(self, process: Process, command: Command) -> Iterator[Callable[[], None]]:
        """End the command that outlives its time; what is given raises Unreachable then."""
        host, late = self.settings.client, threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        def check() -> None:
            if late.is_set():
                raise Unreachable(
                    f"{host}: not ended after {self.settings.limit_seconds} s, and stopped",
                    detail=f"ran on {host}: {host.shown(command)}",
                    hint="Does the client wait for an answer, for the platform, or for another run "
                    "of the same login? If it only needs longer, raise exports.limit_seconds.",
                )

        timer = threading.Timer(self.settings.limit_seconds, end)
        timer.start()
        try:
            yield check
        finally:
            timer.cancel()

    def offer(self, run_id: str, name: str, content: Iterable[bytes], size: int) -> None:
        """Lay a file ready for the import of a run."""
        with self._folder().upload(f"{_COMING}{run_id}/{name}", size_hint=size) as upload:
            for piece in content:
                upload.write(piece)
            upload.commit()

    def take_in(self, run_id: str, argv: Sequence[str], namespace: str = "") -> str:
        """Let it import what was laid ready, which goes with it; give its last words."""
        where = f"{self.settings.directory}/{_COMING}{run_id}"
        command = Command(
            ("sh", "-c", IMPORT, "import", where, namespace, *argv),
            user=self.settings.user,
            leashed=True,
            timeout=self.settings.limit_seconds,
            shown=shlex.join(argv),
        )
        done = self.settings.client.run(command)
        return (done.stderr or done.stdout).strip()[-300:]

    def leftovers(self) -> tuple[str, ...]:
        """Name files that an interrupted import has laid ready."""
        folder = self._folder()
        ready = [info.key for info in folder.list(_COMING)]
        return tuple(ready + folder.abandoned(_COMING))

    def clear(self) -> str:
        """Remove them."""
        folder, left = self._folder(), self.leftovers()
        folder.clear_abandoned(_COMING)
        folder.remove([info.key for info in folder.list(_COMING)])
        return f"removed {len(left)} files"

    def _folder(self) -> OpenStore:
        location = NodeFolderStore(path=self.settings.directory, user=self.settings.user)
        return location.open(StoreSecret(), self.settings.client)


def _of_the_client(error: CommandFailed, code: int) -> CommandFailed:
    """Tell a client that says no from one that cannot be started or was killed."""
    if code not in _OWN_CODES:
        return error
    return ClientFailed(error.message, detail=error.detail, hint=error.hint)


def _files(output: IO[bytes]) -> Exported:
    with tarfile.open(fileobj=output, mode="r|") as tar:
        for member in tar:
            if member.isdir() and member.name == ".":
                continue
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                raise Damaged(f"the export holds {member.name}, which is no file")
            yield member.name.removeprefix("./"), file
