"""Secrets that are recognised wherever they turn up: raw, in hexadecimal, base32, base64."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

_SHOWN = 60


class Markers:
    """The secrets of one test; all begin alike, so that one search finds each of them."""

    def __init__(self) -> None:
        self._beginning = f"Zqx{secrets.token_hex(6)}"  # 15 bytes are 24 letters in base32
        self._needles = tuple(_written(self._beginning.encode()))

    def secret(self, kind: str) -> str:
        """Make a secret of a kind; its name stands in it."""
        return f"{self._beginning}{kind.title().replace(' ', '')}{secrets.token_hex(4)}"

    def in_base32(self) -> str:
        """Make a secret as one-time codes have it."""
        return base64.b32encode(f"{self._beginning}{secrets.token_hex(5)}".encode()).decode()

    def in_file(self, kind: str, folder: Path, secret: str = "") -> Path:
        """Make a secret, or take this one, and keep it where an inventory refers to it."""
        path = folder / f"{kind.replace(' ', '-')}.secret"
        path.touch(mode=0o600)
        path.write_text((secret or self.secret(kind)) + "\n")
        return path

    def know(self, secret: str) -> None:
        """Search for a secret that was made elsewhere, too."""
        self._needles += tuple(_written(secret.encode()))

    def seen_in(self, data: bytes) -> str:
        """Give what stands around the first secret in some bytes; empty where there is none."""
        for needle in self._needles:
            at = data.find(needle)
            if at >= 0:
                around = data[max(0, at - _SHOWN) : at + len(needle) + _SHOWN]
                return around.decode(errors="replace")
        return ""


def _written(text: bytes) -> Iterator[bytes]:
    """Give the forms in which the text may be written, as the middle of something longer."""
    yield text
    yield base64.b32encode(text).rstrip(b"=")
    yield text.hex().encode()
    yield text.hex().upper().encode()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + text)
        first, last = (0, 2, 3)[before], (before + len(text)) * 8 // 6
        yield whole[first:last]
        yield whole[first:last].replace(b"+", b"-").replace(b"/", b"_")
