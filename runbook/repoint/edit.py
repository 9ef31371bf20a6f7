"""Edits: pieces of a file's text that are replaced, and the diff that shows no secret of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runbook.errors import SettingsError
from runbook.repoint.text_file import TextFile

_NAME_BEFORE = re.compile(
    r"""[\s'"-]*(?:export\s+)?[\w.-]+["']?\s*[:=]\s*(?:[&!]\S+\s+)*["']?(?:[A-Za-z_]\w*=)?"""
)
_COMMENT_AFTER = re.compile(r"""(["']?)\s+#.*""")


@dataclass(frozen=True, order=True)
class Edit:
    """A replacement, in characters of the text; `label` tells whose value it is."""

    start: int
    end: int
    text: str
    label: str = ""


def merged(file: TextFile, edits: Collection[Edit]) -> tuple[Edit, ...]:
    """Put edits in order, those of one place together; SettingsError when they contradict."""
    by_place: dict[tuple[int, int], list[Edit]] = {}
    for edit in edits:
        by_place.setdefault((edit.start, edit.end), []).append(edit)
    found: list[Edit] = []
    for (start, end), same in sorted(by_place.items()):
        overlaps = found and found[-1].end > start
        if overlaps or len({edit.text for edit in same}) > 1:
            raise SettingsError(
                f"{file.path}: {', '.join(edit.label for edit in same)} would be written twice",
                hint="Two variables share this text and want different things of it.",
            )
        label = ", ".join(dict.fromkeys(edit.label for edit in same))
        found.append(Edit(start, end, same[0].text, label))
    return tuple(found)


def pieces(text: str, edits: Sequence[Edit]) -> tuple[str, ...]:
    """Write edits as words for a host's script: offset and length in bytes, new text."""
    words: list[str] = []
    at, passed = 0, 0
    for edit in edits:
        passed += len(_encoded(text[at : edit.start]))
        length = len(_encoded(text[edit.start : edit.end]))
        words += [str(passed), str(length), edit.text]
        passed, at = passed + length, edit.end
    return tuple(words)


def edited(text: str, edits: Sequence[Edit]) -> bytes:
    """Give the new content."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return _encoded("".join([*parts, text[at:]]))


def diff(file: TextFile, edits: Sequence[Edit], shown: Collection[int]) -> str:
    """Write a unified diff without context; of a changed line only what is no secret is shown.

    `shown` are the offsets of the characters that may be; what hides is `***`.
    """
    lines = [f"--- {file.path}", f"+++ {file.path}"]
    for number, start, end in _lines(file.text):
        here = [edit for edit in edits if start <= edit.start < end]
        if here:
            labels = ", ".join(dict.fromkeys(edit.label for edit in here))
            lines.append(f"@@ -{number} +{number} @@ {labels}")
            old = [Edit(e.start, e.end, file.text[e.start : e.end]) for e in here]
            lines += [f"-{_line(file.text, start, end, old, shown)}"]
            lines += [f"+{_line(file.text, start, end, here, shown)}"]
    return "\n".join(lines)


def _lines(text: str) -> list[tuple[int, int, int]]:
    """Give number, start and end of every line, its ending left out."""
    found = []
    for number, match in enumerate(re.finditer(r"[^\r\n]*(?:\r\n|\r|\n|\Z)", text), start=1):
        found.append((number, match.start(), match.start() + len(match[0].rstrip("\r\n"))))
    return found


def _line(text: str, start: int, end: int, edits: Sequence[Edit], shown: Collection[int]) -> str:
    by_start = {edit.start: edit for edit in edits}
    out, hidden, at = "", "", start
    while at < end:
        edit = by_start.get(at)
        if edit is None and at not in shown:
            hidden, at = hidden + text[at], at + 1
            continue
        out, hidden = out + _hidden(hidden, first=not out), ""
        out, at = (out + edit.text, edit.end) if edit else (out + text[at], at + 1)
    return out + _hidden(hidden, last=True)


def _hidden(text: str, *, first: bool = False, last: bool = False) -> str:
    """Show of what is hidden the name before a value, and quotes and brackets around it."""
    if not text or (first and _NAME_BEFORE.fullmatch(text)):
        return text
    if last and re.fullmatch(r"""["']?[\s,\]}]*""", text):
        return text
    comment = _COMMENT_AFTER.fullmatch(text) if last else None
    return f"{comment[1]}  # …" if comment else "***"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
