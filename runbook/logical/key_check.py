"""A value by which a reader knows a wrong key at once, and which helps nobody to guess it."""

from __future__ import annotations

import hmac
import os
from typing import Self

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, SecretStr

_LENGTH = 16


class KeyCheck(BaseModel):
    """scrypt of the key with a salt of its own.

    The encrypted stream itself lets one try a key for one MD5 and one block of AES; this costs
    32 MiB and a tenth of a second, and so gives nothing away that was not cheaper to have.
    """

    model_config = ConfigDict(frozen=True)
    salt: str = Field(pattern="^[0-9a-f]{32}$")
    n: int = Field(default=1 << 15, ge=1 << 14, le=1 << 18)
    value: str = Field(pattern="^[0-9a-f]{32}$")

    @classmethod
    def of(cls, key: SecretStr) -> Self:
        """Make the value for a key."""
        salt, n = os.urandom(16), 1 << 15
        return cls(salt=salt.hex(), n=n, value=_scrypt(key, salt, n).hex())

    def fits(self, key: SecretStr) -> bool:
        """Tell whether it is the key."""
        derived = _scrypt(key, bytes.fromhex(self.salt), self.n)
        return hmac.compare_digest(derived, bytes.fromhex(self.value))


def _scrypt(key: SecretStr, salt: bytes, n: int) -> bytes:
    kdf = Scrypt(salt=salt, length=_LENGTH, n=n, r=8, p=1)
    return kdf.derive(key.get_secret_value().encode())
