"""The form that `openssl enc -aes256 -md md5` writes and reads. Nothing in it tells of a change.

"Salted__", 8 bytes of salt, then AES-256-CBC with PKCS#7 padding over the whole stream. Key and IV
come from EVP_BytesToKey with one iteration; which digest, the file does not say.

Ref.: OpenSSL documentation, openssl-enc
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from runbook.errors import Damaged

MAGIC = b"Salted__"
CIPHER = "AES-256-CBC"
KDF = "EVP_BytesToKey: MD5, 1 iteration, salt in the stream"
BLOCK = 16
HEADER = len(MAGIC) + 8
_KEY, _IV = 32, 16
_ITERATIONS = 10_000  # openssl's own default for -pbkdf2

KDFS = ("md5", "sha256", "pbkdf2")
"""What openssl may have made the key with: -md md5, the default since 1.1.0, and -pbkdf2."""


def derived(key: SecretStr, salt: bytes, kdf: str = "md5") -> Cipher[modes.CBC]:
    """Make the cipher of a key and a salt, as one of `KDFS` does it."""
    secret = key.get_secret_value().encode()
    if kdf == "pbkdf2":
        material = hashlib.pbkdf2_hmac("sha256", secret, salt, _ITERATIONS, _KEY + _IV)
    else:
        material = _bytes_to_key(secret, salt, kdf)
    algorithm, mode = algorithms.AES(material[:_KEY]), modes.CBC(material[_KEY : _KEY + _IV])
    return Cipher(algorithm, mode)


def begins_with_gzip(head: bytes, key: SecretStr, kdf: str = "md5") -> bool:
    """Tell whether a key opens the first block: one wrong key in 500 million does."""
    block = head[HEADER : HEADER + BLOCK]
    if len(block) < BLOCK:
        return False
    plain = derived(key, head[len(MAGIC) : HEADER], kdf).decryptor().update(block)
    return plain[:3] == b"\x1f\x8b\x08" and plain[3] & 0xE0 == 0


class Encryptor:
    """Encrypts a stream; pieces may have any length."""

    def __init__(self, key: SecretStr, salt: bytes | None = None) -> None:
        self._salt = salt or os.urandom(8)
        self._context = derived(key, self._salt).encryptor()
        self._begun = False
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Encrypt the next bytes; whole blocks come out, the header first."""
        self._size += len(data)
        return self._header() + self._context.update(data)

    def finish(self) -> bytes:
        """Pad and give the rest."""
        missing = BLOCK - self._size % BLOCK
        last = self._context.update(bytes([missing]) * missing)
        return self._header() + last + self._context.finalize()

    def close(self) -> None:
        """Nothing is kept."""

    def _header(self) -> bytes:
        begun, self._begun = self._begun, True
        return b"" if begun else MAGIC + self._salt


def decrypted(stored: Iterator[bytes], key: SecretStr, name: str) -> Iterator[bytes]:
    """Decrypt a whole stream from its header on; Damaged where its end cannot be right."""
    head = b""
    for piece in stored:
        head += piece
        if len(head) >= HEADER:
            break
    context = derived(key, head[len(MAGIC) : HEADER]).decryptor()
    size, held = len(head), context.update(head[HEADER:])
    for piece in stored:
        size += len(piece)
        plain = held + context.update(piece)
        held = plain[-BLOCK:]
        yield plain[:-BLOCK]
    if size % BLOCK or size == HEADER:
        raise _bad_end(name, f"{size} bytes are no whole number of blocks: it was cut")
    yield _unpadded(held, name)


def _unpadded(held: bytes, name: str) -> bytes:
    count = held[-1]
    if not 1 <= count <= BLOCK or held[-count:] != bytes([count]) * count:
        raise _bad_end(name, "its padding is wrong: its last part is missing, cut or changed")
    return held[:-count]


def _bad_end(name: str, seen: str) -> Damaged:
    return Damaged(
        f"the encrypted stream of {name} does not end as it must",
        detail=seen,
        hint="Compare its parts with another copy, or use another backup.",
    )


def _bytes_to_key(secret: bytes, salt: bytes, digest: str) -> bytes:
    material = last = b""
    while len(material) < _KEY + _IV:
        step = hashlib.new(digest, last + secret + salt, usedforsecurity=False)
        last = step.digest()
        material += last
    return material
