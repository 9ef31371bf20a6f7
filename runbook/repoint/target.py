"""The database that applications are pointed to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from runbook.errors import SettingsError

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Target:
    """An address, and a port; None: ports stay as they are."""

    address: str
    port: int | None = None

    def __post_init__(self) -> None:
        if not is_address(self.address) or not 1 <= (self.port or 1) <= 65535:
            raise SettingsError(
                f"{self} is no address of a database",
                hint="Give an IP address or a host name, and a port from 1 to 65535.",
            )

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port}" if self.port else self.address


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address or can be a host name."""
    return is_ip6(text) or _NAME.fullmatch(text) is not None


def is_ip6(text: str) -> bool:
    """Tell whether a text is an IPv6 address, without brackets."""
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False
