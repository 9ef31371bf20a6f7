"""Finds what has no business in version control: keys and passwords, by where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbook.errors import Refused

MASK = "*** (looks like a secret)"

_NAME = (
    r"[\w.-]*(?:pass(?:word|wd|phrase)s?|secrets?|(?:access|api|private|secret)[_-]?keys?|tokens?"
    r"|credentials?|(?<![a-z0-9])(?:pass|pwd))(?:[_-]?(?:id|key|pem|value|text|data|base64|b64))*"
)
"""What a secret is called, whatever stands before."""
_WORD = re.compile(
    r"<[^<>\n]*>(?=[\s,;]|$)|[^\s,;\"'{}\[\]()]+(?:\$?\{[^\s{}]*\}[^\s,;{}\[\]()]*)*"
)
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'")
_NO_SECRET = re.compile(
    r"\$\{[^{}:]*\}|<[^<>]*>|(?:var|local|data|module)(?:\.\w+|\[[^\]\n]*\])+|null|true|false|"
)
_HEREDOC = re.compile(r"<<[-~]?\s*[\"']?(\w+)[\"']?[^\n]*\n")
_BLOCK_TEXT = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?\n(?:[ \t]+\S[^\n]*(?:\n|$)|[ \t]*\n)+")
_LIST = re.compile(r"\[(?:[^\[\]\"']|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')*\]")
_BELOW = re.compile(r"[ \t,]*\n\s*(?:-[ \t]+)?")
_ALONE = re.compile(r"[ \t]*,?[ \t]*(?:#[^\n]*)?(?:\n|$)")
_ASSIGNED = re.compile(
    rf"(?<![\w.-]){_NAME}[\"']?\]?[ \t]*(?:\+=|=>|:=|={{1,3}}|:(?![:/]))[ \t]*", re.IGNORECASE
)
_LABELLED = re.compile(rf"(?<![\w.-]){_NAME}[\"']?\s*[:=]?\s*\{{", re.IGNORECASE)
_INSIDE = re.compile(r"\b(?:default|value)\b[\"']?\s*[:=][ \t]*")
_SIGNS = (
    (
        "a private key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [^\n]*|\Z)", re.DOTALL),
    ),
    ("an access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    (
        "a password in a URL",
        re.compile(r"://[^\s/:@\"']*:(?!\$\{[^{}:]*\}@|<[^<>]*>@)[^\s/@\"']+@"),
    ),
)


@dataclass(frozen=True)
class Finding:
    """What stands in some lines, from 1, both included."""

    kind: str
    first: int
    last: int


def found_in(text: str) -> tuple[Finding, ...]:
    """Find what looks like a secret, by lines."""
    spans = {(kind, *match.span()) for kind, sign in _SIGNS for match in sign.finditer(text)}
    spans |= {("a secret's value", *span) for span in (*_assigned(text), *_labelled(text))}
    found = {
        Finding(kind, text.count("\n", 0, start) + 1, text.count("\n", 0, max(start, end - 1)) + 1)
        for kind, start, end in spans
    }
    return tuple(sorted(found, key=lambda each: (each.first, each.last, each.kind)))


def findings(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Name file, line and kind of all that looks like a secret; never the secret."""
    said = {
        (name, each.first): f"{name}:{each.first}: {each.kind}"
        for name, content in sorted(files.items())
        for each in found_in(content.decode(errors="replace"))
    }
    return tuple(said.values())


def secret_lines(text: str) -> frozenset[str]:
    """Give the lines that nobody should be shown."""
    lines = text.split("\n")
    hidden = (line for each in found_in(text) for line in lines[each.first - 1 : each.last])
    return frozenset(line.removesuffix("\r") for line in hidden if line.strip())


def refuse(files: Mapping[str, bytes], where: str) -> None:
    """Refused when a file holds what looks like a secret."""
    found = findings(files)
    if found:
        raise Refused(
            f"{len(found)} lines with secrets are not put into {where}",
            detail="\n".join(found[:20]),
            hint="History forgets nothing. Take them out, refer to them, or keep these files in a "
            "store instead.",
        )


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    for match in _ASSIGNED.finditer(text):
        if end := _value(text, match.end()):
            yield match.start(), end


def _labelled(text: str) -> Iterator[tuple[int, int]]:
    """Find the default or value in a block that a secret's name labels, as Terraform has it."""
    for block in _LABELLED.finditer(text):
        end = _closing(text, block.end())
        for match in _INSIDE.finditer(text, block.end(), end):
            if stop := _value(text, match.end()):
                yield match.start(), stop


def _closing(text: str, start: int) -> int:
    depth = 1
    for mark in re.finditer(r"\"(?:\\.|[^\"\\\n])*\"|[{}]", text[start:]):
        depth += {"{": 1, "}": -1}.get(mark.group(), 0)
        if depth == 0:
            return start + mark.start()
    return len(text)


def _value(text: str, start: int) -> int:
    """Give where a secret value that begins here ends; 0 when there is none."""
    if heredoc := _HEREDOC.match(text, start):
        end = re.compile(rf"^\s*{heredoc.group(1)}\b", re.MULTILINE).search(text, heredoc.end())
        return end.end() if end else len(text)
    for several in (_BLOCK_TEXT, _LIST):
        if match := several.match(text, start):
            return match.end() if several is _BLOCK_TEXT or _of_list(match.group()) else 0
    if below := _BELOW.match(text, start):
        end_below = _plain(text, below.end())
        return end_below if end_below and _ALONE.match(text, end_below) else 0
    return _plain(text, start)


def _plain(text: str, start: int) -> int:
    match = _QUOTED.match(text, start) or _WORD.match(text, start)
    if match is None:
        return 1 + start if text[start : start + 1] in {'"', "'"} else 0
    value = match.group()
    bare = value[1:-1] if value[0] in "\"'" else value
    return 0 if _NO_SECRET.fullmatch(bare) or bare.startswith("#") else match.end()


def _of_list(text: str) -> bool:
    values = (match.group() for match in re.finditer(f"{_QUOTED.pattern}|[^\\s,\\[\\]]+", text))
    return any(not _NO_SECRET.fullmatch(value.strip("\"'")) for value in values)
