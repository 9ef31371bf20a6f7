"""The change of one file: drafted beside it, put in its place by renaming, put back by renaming."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field

from runbook.hosts import Command, Host
from runbook.repoint import edit
from runbook.repoint.edit import Edit
from runbook.repoint.text_file import TextFile

# Writes the edited text of a file, out of the file itself: no secret of it ever travels.
# Arguments: the file, the number of edits, and of each offset, length and new text.
ASSEMBLE = """
assemble() {
  source=$1 count=$2 at=0; shift 2
  while [ "$count" -gt 0 ]; do
    tail -c "+$((at + 1))" "$source" | head -c "$(($1 - at))"
    printf %s "$3"
    at=$(($1 + $2)) count=$((count - 1)); shift 3
  done
  tail -c "+$((at + 1))" "$source"
}
"""

_SUM = """set -eu
sum() { sha256sum <"$1" | cut -d ' ' -f 1; }
"""

# The draft is on disk, whole, and has owner, mode and attributes of the file, or there is none.
_DRAFT = (
    _SUM
    + ASSEMBLE
    + """file=$1 old=$2 new=$3 draft=$4; shift 4
if [ "$(sum "$file")" != "$old" ]; then echo "$file has changed meanwhile" >&2; exit 3; fi
umask 077
trap 'rm -f -- "$draft"' EXIT
rm -f -- "$draft"
assemble "$file" "$@" >"$draft"
cp --attributes-only --preserve=xattr,context -- "$file" "$draft" 2>/dev/null || :
cp --attributes-only --preserve=mode,ownership -- "$file" "$draft"
if [ "$(stat -c '%u:%g %a' -- "$file")" != "$(stat -c '%u:%g %a' -- "$draft")" ]; then
  echo "owner and mode of $file cannot be kept by $(id -un)" >&2; exit 4
fi
if [ "$(sum "$draft")" != "$new" ]; then echo "$draft is not whole" >&2; exit 5; fi
sync -- "$draft"
trap - EXIT
"""
)

# Until the renaming the backup is a second name of the file: one that a run left which died here
# is known by that and goes, and putting back brings the very same file.
_SWAP = (
    _SUM
    + """file=$1 old=$2 new=$3 draft=$4 backup=$5 due=$6
folder=$(dirname -- "$file")
if [ "$(sum "$file")" != "$old" ]; then echo "$file has changed meanwhile" >&2; exit 3; fi
if [ "$(sum "$draft")" != "$new" ]; then echo "$draft is not whole" >&2; exit 5; fi
for kept in "$file".*.bak; do
  if [ "$kept" -ef "$file" ]; then rm -f -- "$kept"; fi
done
ln -T -- "$file" "$backup" 2>/dev/null || cp -pT -- "$file" "$backup"
if [ -n "$due" ] && [ ! -e "$due" ]; then echo "$backup" >"$due"; fi
mv -fT -- "$draft" "$file"
sync -- "$folder"
"""
)

_PUT_BACK = (
    _SUM
    + """file=$1 old=$2 new=$3 draft=$4 backup=$5 due=$6
rm -f -- "$draft"
if [ "$(sum "$file")" = "$new" ]; then
  if [ "$(sum "$backup")" != "$old" ]; then echo "$backup is not the old file" >&2; exit 5; fi
  mv -fT -- "$backup" "$file"
fi
if [ "$(sum "$file")" != "$old" ]; then echo "$file has changed meanwhile" >&2; exit 3; fi
if [ -e "$backup" ] && [ "$backup" -ef "$file" ]; then rm -f -- "$backup"; fi
if [ -n "$due" ] && [ "$(cat "$due" 2>/dev/null)" = "$backup" ]; then rm -f -- "$due"; fi
sync -- "$(dirname -- "$file")"
"""
)


@dataclass(frozen=True)
class FileChange:
    """What becomes of one file on one host; `run` names the backup of the old one."""

    host: Host
    user: str
    file: TextFile
    edits: tuple[Edit, ...]
    shown: frozenset[int] = field(repr=False)
    run: str
    due: str = ""
    """A mark to leave: what reads this file must be started again."""

    @property
    def draft(self) -> str:
        """Name the new file before it is in its place."""
        folder, name = posixpath.split(self.file.path)
        return posixpath.join(folder, f".{name}.repointed")

    @property
    def backup(self) -> str:
        """Name the old file after the change."""
        return f"{self.file.path}.{self.run[:12]}.bak"

    @property
    def digest(self) -> str:
        """Give the SHA-256 of the new content."""
        return hashlib.sha256(edit.edited(self.file.text, self.edits)).hexdigest()

    def diff(self) -> str:
        """Give the unified diff, secrets as `***`."""
        return edit.diff(self.file, self.edits, self.shown)

    def words(self) -> tuple[str, ...]:
        """Give the edits as the arguments of `assemble`."""
        return (str(len(self.edits)), *edit.pieces(self.file.text, self.edits))

    def drafting(self) -> Command:
        """Write the draft. Ref.: cp(1), --attributes-only; sync(1)"""
        argv = (self.file.path, self.file.digest, self.digest, self.draft, *self.words())
        return self._script(_DRAFT, *argv)

    def swapping(self) -> Command:
        """Keep the old file and put the draft in its place. Ref.: rename(2)"""
        return self._script(_SWAP, *self._names())

    def putting_back(self) -> Command:
        """Bring the old file back, whatever had been done; only the draft goes otherwise."""
        return self._script(_PUT_BACK, *self._names())

    def _names(self) -> tuple[str, ...]:
        return (self.file.path, self.file.digest, self.digest, self.draft, self.backup, self.due)

    def _script(self, script: str, *words: str) -> Command:
        return Command(("sh", "-c", script, "repoint", *words), user=self.user, timeout=60)
