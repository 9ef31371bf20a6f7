"""What a vendor's program says, without the secrets of its configuration file."""

from __future__ import annotations

import re

_VALUE = re.compile(
    r"""(?i)[\w.-]*(?:key|secret|passw|token|credential)[\w.-]*["']?\s*[:=]?\s*"""
    r"""(?:"(?P<double>[^"\n]{3,})"|'(?P<single>[^'\n]{3,})'|(?P<bare>[^\s"'{}\[\],]{3,}))"""
)
# As psql and pg_restore tell an error, and as any program may; not the lines that follow it.
# A server speaks its own language; psql's line with an SQLSTATE alone is an error in each, but for
# the classes of success and warnings.
_ERROR = re.compile(
    r"""(?:[^\s:'"]+:\s?){0,4}(?:\w+ )?(?:ERROR|FATAL|PANIC|error|fatal):\s"""
    r"""|psql:\S+:\d+: \w+:\s+(?=(?!0[0-2])[0-9A-Z]{5}$)"""
)
_LOOSE = re.compile(
    r"""\b(?:ERROR|FATAL|PANIC)\b|^(?:[Ee]rror|[Ff]atal)\b|\b(?:[Ee]rror|[Ff]atal):\s"""
    r"""|\[(?:error|fatal)\]|\blevel="?(?:error|fatal)\b"""
)
_FOLLOWING = re.compile(r"(?:DETAIL|CONTEXT|HINT|STATEMENT|QUERY|Command was):")
# Of what every image has already, or only a superuser may say again; pg_restore counts them.
_HARMLESS = re.compile(r"must be owner of extension plpgsql|role \S+ already exists")
_IGNORED = re.compile(r"errors ignored on restore: (\d+)")
_SERVER = re.compile(r"(?= (?:ERROR|FATAL|PANIC):\s)")
# What texts of PostgreSQL and its programs begin with; what a function may raise is another.
_KNOWN = re.compile(
    r"\s*(?:[0-9A-Z]{5}$|could not execute query|could not \w+|COPY failed for table|duplicate key "
    r"value|(?:null|new) (?:value|row)|insert or update|permission denied|must be \w+|out of \w+|"
    r"disk full|deadlock detected|syntax error|invalid \w+|canceling \w+|terminating connection|"
    r"the database system is [a-z ]+|No space left on device|Permission denied|"
    r"(?:relation|role|schema|type|function|extension|database|language|column)\b)"
)
_SYSTEM = re.compile(
    r"(?P<program>[\w./-]+:).*: (?P<why>No space left on device|Permission denied)$"
)


def hushed(said: str, configuration: str) -> str:
    """Replace every value that the configuration has under a secret's name by `***`."""
    values = {found[found.lastgroup] for found in _VALUE.finditer(configuration) if found.lastgroup}
    for value in sorted(values, key=len, reverse=True):
        said = said.replace(value, "***")
    return said


def errors_of(said: str) -> tuple[str, ...]:
    """Give the errors that a load has told, in known words alone: others may be of a row.

    Not those that every load of a whole database tells, and that harm nothing.
    """
    found, harmless, ignored, more = [], 0, 0, 0
    for line in said.splitlines():
        if _HARMLESS.search(line):
            harmless += 1
        elif _ERROR.match(line):
            found.append(_told(line))
        elif full := _SYSTEM.match(line):
            found.append(f"{full['program']} {full['why']}")
        elif counted := _IGNORED.search(line):
            ignored += int(counted[1])
        elif _LOOSE.search(line) and not _FOLLOWING.match(line):
            more += 1
    if ignored > harmless:
        found.append(f"{ignored} errors ignored on restore")
    if more:
        found.append(f"{more} more lines that tell of errors, in words of their own")
    return tuple(found)


def _told(line: str) -> str:
    """Give the program's name, the kind of error, and what is known of its text."""
    begin = _ERROR.match(line)
    head, text = (begin[0].strip(), line[begin.end() :]) if begin else ("", line)
    text, *server = _SERVER.split(text, 1)
    known = _KNOWN.match(text)
    words = known[0].strip() if known else ""
    hidden = "***" if text[known.end() if known else 0 :].strip(" :;.") else ""
    inner = (_told(each.strip()) for each in server)
    return " ".join(word for word in (head, words, hidden, *inner) if word)
