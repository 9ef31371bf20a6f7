"""A text file of a host, byte for byte."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from runbook.errors import SettingsError
from runbook.hosts import Completed, Host

# One line a file: its real path in base64, whether its directory can be written, its content.
# What follows -- is a command that reads, run in the same go.
READ = """set -eu
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  file=$1; shift
  if [ ! -e "$file" ]; then echo "- - -"; continue; fi
  real=$(readlink -f -- "$file")
  if [ -w "$(dirname -- "$real")" ]; then writable=yes; else writable=no; fi
  content=$(base64 -w0 <"$real")
  echo "$(printf %s "$real" | base64 -w0) $writable $content"
done
if [ $# -gt 1 ]; then shift; "$@"; fi
"""


@dataclass(frozen=True)
class TextFile:
    """A file at its real path, behind all links, with its content."""

    path: str
    content: bytes = field(repr=False)
    writable: bool = True

    @property
    def text(self) -> str:
        """Give the content as text; bytes that are no UTF-8 survive the way back."""
        return self.content.decode("utf-8", "surrogateescape")

    @property
    def digest(self) -> str:
        """Give the SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


def reading(paths: Sequence[str], then: Sequence[str] = ()) -> tuple[str, ...]:
    """Give the words that read files, and run a command after them."""
    return ("sh", "-c", READ, "read", *paths, *(("--", *then) if then else ()))


def parsed(host: Host, paths: Sequence[str], done: Completed) -> Sequence[TextFile | None]:
    """Give the files out of what `reading` printed; None for those that do not exist."""
    lines = done.stdout.split("\n")[: len(paths)]
    if done.stdout.count("\n") < len(paths):
        raise SettingsError(
            f"{host}: cannot read {paths[done.stdout.count(chr(10))]}",
            detail=done.stderr.strip()[-500:],
            hint="Can the login read it there? managed_by.user may name another user.",
        )
    return [_file(line) for line in lines]


def _file(line: str) -> TextFile | None:
    path, writable, content = line.split(" ")
    if path == "-":
        return None
    real = base64.b64decode(path).decode("utf-8", "surrogateescape")
    return TextFile(real, base64.b64decode(content), writable == "yes")
