"""Carries a declared check out: calls in order, values handed on, cleaned up whatever happened."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from pydantic import SecretStr

from runbook.health import answer, placeholders
from runbook.health.call import Request
from runbook.health.check import HttpCheck
from runbook.health.sending import sent

_FIRST_PAUSE_SECONDS = 0.2
_SLOWEST_PAUSE_SECONDS = 2.0
_CLEANUP_SECONDS = 15.0
_SHORTEST_TOKEN = 6


def problem(
    check: HttpCheck, secrets: Mapping[str, SecretStr], *, within: float | None = None
) -> str:
    """Carry a check out; tell what is not as expected, or nothing.

    `within` is the patience in seconds instead of the check's own. A call that only reads is made
    again until it is answered as expected; one that changes something only while nobody listens.
    """
    patience = check.within if within is None else within
    try:
        context = ssl.create_default_context(cafile=check.ca_file or None)
    except OSError as error:
        return f"{check.name}: CA file {check.ca_file} on the worker: {error}"
    # Redirects and netrc would send credentials to places that nobody wrote down.
    with httpx.Client(verify=context, follow_redirects=False, trust_env=False) as client:
        talk = _Conversation(check, client, dict(secrets))
        try:
            trouble = talk.carry_out(time.monotonic() + patience)
        finally:
            left = talk.clean_up()
    return "; ".join(part for part in (trouble, *left) if part)


@dataclass
class _Conversation:
    """What is known so far, and which calls were begun."""

    check: HttpCheck
    client: httpx.Client
    secrets: dict[str, SecretStr]
    values: dict[str, str] = field(default_factory=lambda: {placeholders.UNIQUE: uuid4().hex})
    begun: list[Request] = field(default_factory=list)

    def carry_out(self, deadline: float) -> str:
        """Make the calls in order; give the first trouble."""
        for call in self.check.sequence:
            self.begun.append(call)
            trouble = self._patiently(call, deadline, _may_repeat)
            if trouble:
                return trouble
        return ""

    def clean_up(self) -> list[str]:
        """Make the calls that clean up, as far as there is anything; give all troubles."""
        troubles = []
        for call in self.check.cleanup:
            missing = [name for name in call.needed if name not in self._known()]
            if missing:
                troubles += self._left_behind(call, missing)
                continue
            if not self._was_begun():
                continue
            deadline = time.monotonic() + _CLEANUP_SECONDS
            trouble = self._patiently(call, deadline, lambda _, made: made.may_pass)
            troubles += [f"not cleaned up: {trouble}"] if trouble else []
        return troubles

    def _patiently(
        self, call: Request, deadline: float, again: Callable[[Request, answer.Judged], bool]
    ) -> str:
        """Make a call, and make it again while that is allowed; give its last trouble."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            judged = self._once(call)
            if not judged.trouble:
                self.values |= judged.values
                return ""
            if time.monotonic() + pause >= deadline or not again(call, judged):
                return self._masked(f"{call.label}: {judged.trouble}")
            time.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST_PAUSE_SECONDS)

    def _once(self, call: Request) -> answer.Judged:
        try:
            response = sent(self.client, call, self._known())
        except httpx.ConnectError as error:
            return answer.Judged(f"no connection: {error}", unsent=True, may_pass=True)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            name = type(error).__name__
            return answer.Judged(f"{name}: {error}", may_pass=True)
        return answer.judged(call, response)

    def _known(self) -> dict[str, str]:
        opened = {
            f"{placeholders.SECRET}{name}": secret.get_secret_value()
            for name, secret in self.secrets.items()
        }
        return {**self.values, **opened}

    def _was_begun(self) -> bool:
        """Tell whether a call was begun that may have changed something; login calls do not."""
        return any(call.writes for call in self.begun) or not _any_writes(self.check.sequence)

    def _left_behind(self, call: Request, missing: Sequence[str]) -> list[str]:
        """Tell what cannot be cleaned up: the call was made and its answer gave no name for it."""
        lost = [c for c in self.begun if c.writes and set(c.extract) & set(missing)]
        if not lost:
            return []
        lacking = f"{call.label} needs {missing[0]}, which no answer gave"
        return [f"something may be left behind: {lacking}"]

    def _masked(self, text: str) -> str:
        """Hide secrets, and what earlier calls were answered with."""
        secret = {item.get_secret_value() for item in self.secrets.values()}
        said = {self.values[name] for name in self.values if name != placeholders.UNIQUE}
        hidden = (secret | {value for value in said if len(value) >= _SHORTEST_TOKEN}) - {""}
        for value in sorted(hidden, key=len, reverse=True):
            text = text.replace(value, "***").replace(json.dumps(value)[1:-1], "***")
        return text


def _may_repeat(call: Request, judged: answer.Judged) -> bool:
    return judged.unsent or not call.writes


def _any_writes(calls: Sequence[Request]) -> bool:
    return any(call.writes for call in calls)
