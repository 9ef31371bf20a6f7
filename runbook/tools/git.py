"""git, without a work tree that anybody else could have open.

Ref.: git-clone, git-archive, git-commit-tree, git-push
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass

from runbook.hosts import Command

_SECONDS = 600
_ENV = (
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    ("GIT_AUTHOR_NAME", "pg-runbooks"),
    ("GIT_AUTHOR_EMAIL", "pg-runbooks@localhost"),
    ("GIT_COMMITTER_NAME", "pg-runbooks"),
    ("GIT_COMMITTER_EMAIL", "pg-runbooks@localhost"),
)

_BEGIN = """set -eu
d=$(mktemp -d); trap 'trap "" TERM HUP INT; rm -rf -- "$d"' EXIT
trap 'exit 143' TERM HUP INT; trap '' PIPE
url=$1 branch=$2 folder=$3
known=$(git ls-remote -- "$url" "refs/heads/$branch")
if [ -n "$known" ]; then git clone -q --bare --single-branch --branch "$branch" -- "$url" "$d/r"
else git init -q --bare "$d/r"; fi
export GIT_DIR="$d/r"
"""
READ = f"""{_BEGIN}
OURS='%ce %(trailers:key=Run,valueonly)'
[ -n "$known" ] || exit 0
commit=$(git rev-parse -q --verify "$4^{{commit}}") || {{ echo "no version $4" >&2; exit 3; }}
echo "$commit"
git rev-parse -q --verify "$commit:$folder" >/dev/null || exit 0
git ls-tree -r --name-only "$commit:$folder" | while IFS= read -r name; do
  last=$(git log -1 --format="$OURS" "$commit" -- ":(literal)$folder/$name")
  case $last in "$GIT_COMMITTER_EMAIL "?*) ;; *) printf '%s %s\n' - "$name" ;; esac
done
git archive --format=tar -o "$d/tar" "$commit:$folder"
base64 "$d/tar"
"""
"""Prints the commit of a version, then a line `- <name>` for every file whose newest commit is not
ours, and, in base64, a tar of the folder; only reads."""

COMMIT = f"""{_BEGIN}
text=$4 sum=$5 expected=$6; shift 6
mkdir -p "$d/tree/$folder"; base64 -d >"$d/tar"
came=$(sha256sum <"$d/tar")
[ "$came" = "$sum  -" ] || {{ echo "the documents came only in part" >&2; exit 4; }}
tar -xf "$d/tar" -C "$d/tree/$folder"
export GIT_WORK_TREE="$d/tree" GIT_INDEX_FILE="$d/index"
cd "$d/tree"
parent=$([ -z "$known" ] || git rev-parse HEAD)
[ "$parent" = "$expected" ] || {{ echo "somebody has pushed to $branch meanwhile" >&2; exit 5; }}
[ -z "$known" ] || git read-tree HEAD
for gone; do git rm -q --cached --ignore-unmatch -- ":(literal)$folder/$gone"; done
git -c core.autocrlf=false add -f --ignore-removal -- "$folder"
tree=$(git write-tree)
[ -z "$known" ] || [ "$tree" != "$(git rev-parse "HEAD^{{tree}}")" ] || exit 0
commit=$(git commit-tree "$tree" ${{parent:+-p "$parent"}} -m "$text")
git push -q -- "$url" "$commit:refs/heads/$branch"
"""
"""Puts the files of a tar on standard input into a folder and takes others out, upon the commit
that was expected: one commit, pushed whole, and only of what came whole."""


def read(url: str, branch: str, folder: str, version: str, *, user: str) -> Command:
    """Give the folder as it is in a version."""
    argv = ("sh", "-c", READ, "read", url, branch, folder, version)
    shown = shlex.join(("git", "archive", f"--remote={url}", f"{version}:{folder}"))
    return Command(argv, user=user, env=_ENV, leashed=True, timeout=_SECONDS, shown=shown)


@dataclass(frozen=True)
class Change:
    """Files that a folder shall have, those that leave it, and the commit that was looked at."""

    archive: bytes
    gone: tuple[str, ...]
    expected: str
    text: str


def commit(url: str, branch: str, folder: str, change: Change, *, user: str) -> Command:
    """Put the files of a tar into a folder; CommandFailed when it did not come whole."""
    checked = (hashlib.sha256(change.archive).hexdigest(), change.expected)
    return Command(
        ("sh", "-c", COMMIT, "commit", url, branch, folder, change.text, *checked, *change.gone),
        user=user,
        env=_ENV,
        stdin=base64.encodebytes(change.archive).decode(),
        confidential=True,
        timeout=_SECONDS,
        shown=committing(url, branch, folder, change.text),
    )


def committing(url: str, branch: str, folder: str, text: str) -> str:
    """Give the line that a person would type in a clone."""
    return (
        f"git add -A -- {shlex.quote(folder)} && git commit -m {shlex.quote(text)} "
        f"&& {shlex.join(('git', 'push', url, branch))}"
    )
