"""How a value writes an address: plain, host:port, URL, or libpq's keywords.

Ref.: PostgreSQL documentation, Connection Strings; RFC 3986, section 3.2
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.repoint.target import Target, is_address, is_ip6

Span = tuple[int, int]

_URL = re.compile(
    r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+.-]*:)+//)"
    r"(?:(?P<user>[^/?#@:]*)(?::(?P<password>[^/?#]*))?@)?"
    r"(?P<host>\[[^\[\]]+\]|[^\[\]/?#@:]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#@]*)?(?P<rest>[?#].*)?",
    re.DOTALL,
)
_PLAIN = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?")
_KEYWORD = re.compile(r"\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|\Z)", re.S)
_OPEN_KEYWORDS = ("host", "hostaddr", "port", "dbname", "user")


@dataclass(frozen=True)
class Form:
    """Where address and port stand in a value, and which parts of it are no secret."""

    address: Span | None
    port: Span | None
    shown: tuple[Span, ...]
    brackets: bool = False
    """Whether an IPv6 address stands in brackets here."""

    def replacements(self, text: str, target: Target) -> tuple[tuple[Span, str], ...]:
        """Give the parts that must change, and to what, for the value to name the target."""
        found: list[tuple[Span, str]] = []
        if self.address is not None:
            old = text[slice(*self.address)]
            if old.strip("[]").lower() != target.address.lower():
                bare = not (self.brackets or old.startswith("["))
                new = f"[{target.address}]" if is_ip6(target.address) else target.address
                found.append((self.address, target.address if bare else new))
        wanted = target.port or 0
        if self.port is not None and wanted and int(text[slice(*self.port)]) != wanted:
            found.append((self.port, str(wanted)))
        return tuple(found)


def recognised(text: str, holds: str = "address") -> Form | None:
    """Find address and port in a value; None when it is not understood without any doubt."""
    if holds == "port":
        whole = (0, len(text))
        return Form(None, whole, (whole,)) if re.fullmatch(r"[0-9]{1,5}", text) else None
    if "//" in text:
        return _url(text)
    return _keywords(text) if "=" in text else _plain(text)


def _url(text: str) -> Form | None:
    match = _URL.fullmatch(text)
    if match is None or not _is_host(match["host"]):
        return None
    # A password that was not percent-encoded may end the authority early: its @ comes later then.
    jdbc = match["scheme"].lower().startswith("jdbc:")
    if match["user"] is None and "@" in (match["rest"] or "") and not jdbc:
        return None
    end = max(match.end(part) for part in ("host", "port", "path"))
    shown: tuple[Span, ...] = ((0, end),)
    if match["password"]:
        shown = ((0, match.start("password")), (match.end("password"), end))
    return Form(match.span("host"), _span(match, "port"), shown, brackets=True)


def _plain(text: str) -> Form | None:
    whole = (0, len(text))
    if is_ip6(text):
        return Form(whole, None, (whole,))
    match = _PLAIN.fullmatch(text)
    if match is None or not _is_host(match["host"]):
        return None
    port = _span(match, "port")
    return Form(match.span("host"), port, (whole,), brackets=port is not None)


def _keywords(text: str) -> Form | None:
    pairs = list(_pairs(text))
    if not pairs or pairs[-1][2][1] != len(text.rstrip()):
        return None
    by_name = {name: _inside(text, value) for name, _, value in pairs}
    hosts = [name for name in by_name if name in ("host", "hostaddr")]
    if len(by_name) != len(pairs) or len(hosts) != 1:
        return None
    address, port = by_name[hosts[0]], by_name.get("port")
    if not is_address(text[slice(*address)]):
        return None
    if port is not None and not re.fullmatch(r"[0-9]{1,5}", text[slice(*port)]):
        return None
    shown = [(at, value[1] if name in _OPEN_KEYWORDS else value[0]) for name, at, value in pairs]
    return Form(address, port, tuple(shown))


def _pairs(text: str) -> Iterator[tuple[str, int, Span]]:
    """Give name, start, and span of the value of every pair, one after the other."""
    at = 0
    while match := _KEYWORD.match(text, at):
        yield match[1].lower(), at, match.span(2)
        at = match.end()


def _inside(text: str, span: Span) -> Span:
    quoted = text[slice(*span)].startswith("'")
    return (span[0] + 1, span[1] - 1) if quoted else span


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return is_ip6(text[1:-1])
    return is_address(text) and ":" not in text


def _span(match: re.Match[str], part: str) -> Span | None:
    return match.span(part) if match[part] is not None else None
