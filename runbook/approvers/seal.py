"""Sealed emergency codes: printed once for an envelope, kept here as a hash, good for one run."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _LENGTH = 6, 5


def new_code() -> str:
    """Make a code of 150 random bits that can be read from paper."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


def sealed(code: str) -> str:
    """Give what the policy keeps of a code: salt and hash."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_hash(code, salt)}"


def is_code(text: str) -> bool:
    """Tell whether a text has the form of an emergency code."""
    return len(_plain(text)) == _GROUPS * _LENGTH


def opened(text: str, seals: tuple[str, ...]) -> str | None:
    """Give the seal that a code opens; None when it opens none."""
    for seal in seals:
        _, salt, kept = seal.split(":")
        if hmac.compare_digest(_hash(text, bytes.fromhex(salt)), kept):
            return seal
    return None


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def _hash(code: str, salt: bytes) -> str:
    return hashlib.scrypt(_plain(code).encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()
