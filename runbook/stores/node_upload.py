"""A file on a node that is being written under another name."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, suppress
from typing import Self

from runbook.errors import RunbookError, StoreError, StoreForbidden, Unreachable
from runbook.hosts import Command, Host
from runbook.hosts.command import Completed
from runbook.hosts.process import Process
from runbook.stores.stall import StallWatch
from runbook.stores.store import PART, exists_already
from runbook.watch import log

ENGLISH = (("LC_ALL", "C"),)

_PIECE = 256 << 10
_STALL_SECONDS = 60.0
_SYNC_SECONDS = 3600.0
_LAST_WORDS_SECONDS = 10.0
_EXISTS = 5

# Writes the part and nothing else: an end of input may also be a lost worker, so that the name
# is given by a second command, which the worker sends when it has sent everything.
_WRITE = 'umask 077; mkdir -p -- "$(dirname -- "$1")" && exec cat >"$2"'
_NAME = """set -eu
folder=$(dirname -- "$1")
test "$(stat -c %s -- "$2")" = "$3" || { echo "it is not whole" >&2; exit 4; }
sync -- "$2"
if [ "$4" = overwrite ]; then mv -fT -- "$2" "$1"
elif ln -T -- "$2" "$1" 2>/dev/null; then rm -f -- "$2"
else
  [ ! -e "$1" ] || exit 5
  mv -nT -- "$2" "$1"; [ ! -e "$2" ] || exit 5
fi
sync -- "$folder" "$(dirname -- "$folder")"
"""


class NodeUpload:
    """Writes beside the file's place and gives it its name when it is whole and on disk."""

    def __init__(self, host: Host, path: str, user: str, *, overwrite: bool) -> None:
        self._host = host
        self._path = path
        self._user = user
        self._overwrite = overwrite
        self._part = f"{path}{PART}{uuid.uuid4().hex}"
        self._size = 0
        self._committed = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        argv = ("sh", "-c", _WRITE, "write", self._path, self._part)
        command = Command(argv, user=self._user, env=ENGLISH, directory="/")
        with ExitStack() as stack:
            self._process: Process = stack.enter_context(self._host.running(command))
            self._watch = stack.enter_context(StallWatch(self._process, _STALL_SECONDS))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if not self._committed:
            self._remove_part()

    def write(self, data: bytes | memoryview, /) -> None:
        """Send bytes to the host."""
        view = memoryview(data).cast("B")
        for at in range(0, len(view), _PIECE):
            piece = view[at : at + _PIECE]
            try:
                self._watch.moving(lambda piece=piece: self._process.write(piece))  # type: ignore[misc]
            except (OSError, ValueError) as error:
                raise self._broken() from error
            self._size += len(piece)

    def commit(self) -> None:
        """Bring the file to disk on the host and give it its name."""
        try:
            self._process.close_stdin()
            code = self._process.wait(_SYNC_SECONDS)
        except (OSError, TimeoutError) as error:
            raise self._broken() from error
        if code != 0:
            raise self._broken()
        mode = "overwrite" if self._overwrite else "new"
        done = self._run("sh", "-c", _NAME, "name", self._path, self._part, str(self._size), mode)
        if done.exit_code == _EXISTS:
            raise exists_already(self._path, self._host)
        if done.exit_code != 0:
            raise self._failed(done.stderr)
        self._committed = True

    def _remove_part(self) -> None:
        try:
            self._run("rm", "-f", "--", self._part)
        except RunbookError as error:  # must not hide why the upload was left
            log.warning("the next run has to clear what an upload has left: %s", error)

    def _run(self, *argv: str) -> Completed:
        return self._host.attempt(
            Command(argv, user=self._user, env=ENGLISH, directory="/", timeout=_SYNC_SECONDS)
        )

    def _broken(self) -> RunbookError:
        # A program closes its input before it tells why: what stands there so far is not all.
        with suppress(TimeoutError, RunbookError):
            self._process.wait(_LAST_WORDS_SECONDS)
        said = self._process.stderr()
        if said.strip():
            return self._failed(said)
        seen = f"no byte in {_STALL_SECONDS:.0f} s" if self._watch.stalled else "the way in broke"
        return Unreachable(
            f"cannot write {self._path} on {self._host}",
            detail=f"{seen} after {self._size} bytes",
            hint="Is the host up? Then start again.",
        )

    def _failed(self, said: str) -> StoreError:
        kind = StoreForbidden if "Permission denied" in said else StoreError
        return kind(
            f"cannot write {self._path} on {self._host}",
            detail=said.strip()[-500:],
            hint=f"Is there room, and may {self._user} write there?",
        )
