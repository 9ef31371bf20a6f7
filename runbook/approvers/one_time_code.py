"""One-time codes of an authenticator app (TOTP). Ref.: RFC 6238."""

from __future__ import annotations

import hmac
import re
from datetime import datetime

import pyotp

STEP_SECONDS = 30
_LATE_STEPS = 20
"""A run may wait for a free worker between the answer and its reading."""


def new_secret() -> str:
    """Make a secret for a person's app, in base32."""
    return pyotp.random_base32()


def is_secret(text: str) -> bool:
    """Tell whether a text can be the secret of one-time codes."""
    return re.fullmatch(r"[A-Z2-7]{16,}=*", text) is not None


def address(secret: str, person: str) -> str:
    """Give what an authenticator app reads: otpauth://totp/..."""
    return pyotp.TOTP(secret).provisioning_uri(name=person, issuer_name="pg-runbooks")


def step_of(code: str, secret: str, answered: datetime, now: datetime) -> int | None:
    """Give the 30 s step that a code is of, or None when it is none of now.

    The code must fit the moment of the answer, give or take a step for clocks that differ. That
    moment is told by a server, so it must also lie near the clock of this machine.
    """
    typed = re.sub(r"\s", "", code)
    code_of, at, here = pyotp.TOTP(secret), _step(answered), _step(now)
    for step in (at, at - 1, at + 1):
        late = here - step
        if -2 <= late <= _LATE_STEPS and hmac.compare_digest(
            code_of.at(step * STEP_SECONDS).encode(), typed.encode()
        ):
            return step
    return None


def _step(moment: datetime) -> int:
    return int(moment.timestamp()) // STEP_SECONDS
