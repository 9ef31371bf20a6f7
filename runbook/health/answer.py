"""Holds an answer against what was expected, and takes out of it what later calls need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import JsonValue

from runbook.health.call import Extraction, Request

_SHOWN = 200


@dataclass(frozen=True)
class Judged:
    """What is not as expected, or nothing; and the values for later calls.

    `unsent`: no connection was made, so that nothing can have changed. `may_pass`: the trouble is
    of the kind that goes by.
    """

    trouble: str = ""
    values: dict[str, str] = field(default_factory=dict)
    unsent: bool = False
    may_pass: bool = False


class _Unexpected(Exception):
    """The answer is not what the call expects."""


def judged(call: Request, response: httpx.Response) -> Judged:
    """Judge an answer; the body is shown only where the call asks for a part of it."""
    try:
        _status(call, response)
        if call.contains and call.contains not in response.text:
            raise _Unexpected(f"the answer does not contain {call.contains!r}")
        _contents(call, response)
        values = dict(_extracted(call, response))
    except _Unexpected as unexpected:
        return Judged(str(unexpected), may_pass=response.status_code >= 500)
    return Judged(values=values)


def _status(call: Request, response: httpx.Response) -> None:
    code = response.status_code
    if code in call.statuses:
        return
    expected = " or ".join(map(str, call.statuses))
    text = f"answered {code}, expected {expected}"
    if 300 <= code < 400:
        split = urlsplit(response.headers.get("location", ""))
        place = f"{split.scheme}://{split.netloc}{split.path}" if split.netloc else split.path
        text += f"; it redirects to {place}, which is not followed: write that URL"
    raise _Unexpected(text)


def _contents(call: Request, response: httpx.Response) -> None:
    for path, wanted in call.json_equals.items():
        seen = _at(path, _body(response))
        if isinstance(seen, bool) is not isinstance(wanted, bool) or seen != wanted:
            raise _Unexpected(f"{path} is {_shown(seen)}, expected {_shown(wanted)}")
    for path in call.json_empty:
        seen = _at(path, _body(response))
        if not isinstance(seen, list | dict):
            raise _Unexpected(f"{path} is {_shown(seen)}, expected an empty list")
        if seen:
            raise _Unexpected(f"{path} has {len(seen)} entries, expected none: {_shown(seen)}")


def _extracted(call: Request, response: httpx.Response) -> Iterator[tuple[str, str]]:
    for name, place in call.extract.items():
        value = _found(place, response)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
            raise _Unexpected(f"the answer has no {name}: nothing usable at {place}")
        yield name, str(value)


def _found(place: Extraction, response: httpx.Response) -> JsonValue:
    if place.header:
        header: str = response.headers.get(place.header, "")
        return header
    return _at(place.path, _body(response))


def _body(response: httpx.Response) -> JsonValue:
    try:
        body: JsonValue = response.json()
    except ValueError:
        raise _Unexpected("the answer is not JSON") from None
    return body


def _at(path: str, body: JsonValue) -> JsonValue:
    try:
        found: JsonValue = jmespath.search(path, body)
    except JMESPathError as error:
        raise _Unexpected(f"{path} cannot be applied to the answer: {error}") from None
    return found


def _shown(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
