"""pg_hba.conf: which rule decides for a replication login, and where a missing one belongs.

Ref.: PostgreSQL documentation, The pg_hba.conf File; the view pg_hba_file_rules
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

# PostgreSQL 16 and newer also name the file: there are include directives.
RULES = """
SELECT line_number, type, database, user_name, address, netmask, auth_method, error,
       to_jsonb(r) ->> 'file_name' AS file_name
FROM pg_catalog.pg_hba_file_rules() WITH ORDINALITY AS r ORDER BY ordinality
"""

PASSWORD_METHODS = ("scram-sha-256", "md5", "password")


class HbaRule(BaseModel):
    """One line as the server reads it."""

    model_config = ConfigDict(frozen=True)
    line_number: int
    type: str | None = None
    database: tuple[str, ...] | None = None
    user_name: tuple[str, ...] | None = None
    address: str | None = None
    netmask: str | None = None
    auth_method: str | None = None
    error: str | None = None
    file_name: str | None = None

    def decides(self, user: str, address: str, *, ssl: bool) -> bool:
        """Tell whether this rule decides for a replication login over TCP."""
        types = ("host", "hostssl") if ssl else ("host", "hostnossl")
        return (
            self.type in types
            and "replication" in (self.database or ())
            and any(name in ("all", user) for name in self.user_name or ())
            and self._covers(address)
        )

    def may_decide(self, user: str, address: str) -> bool:
        """Tell whether it might: groups, patterns and host names are known to the server alone."""
        users = self.user_name or ()
        named = self.address is not None and self._network() is None
        return (
            self.type not in (None, "local")
            and "replication" in (self.database or ())
            and any(name in ("all", user) or name.startswith(("+", "/")) for name in users)
            and (named or self._covers(address))
        )

    def _covers(self, address: str) -> bool:
        if self.address in ("all", "samehost", "samenet"):
            return True
        network = self._network()
        return ipaddress.ip_address(address) in network if network else self.address == address

    def _network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        try:
            bits = int(ipaddress.ip_address(self.netmask or "")).bit_count()
            return ipaddress.ip_network(f"{self.address}/{bits}", strict=False)
        except ValueError:
            return None


def deciding(rules: Sequence[HbaRule], user: str, address: str, *, ssl: bool) -> HbaRule | None:
    """Find the first rule that decides; None means that the login is rejected."""
    for rule in rules:
        if rule.decides(user, address, ssl=ssl):
            return rule
    return None


def lets_in(rule: HbaRule | None, *, has_password: bool) -> bool:
    """Tell whether the deciding rule lets us in with what we have."""
    if rule is None:
        return False
    return rule.auth_method == "trust" or (has_password and rule.auth_method in PASSWORD_METHODS)


def narrowest(user: str, address: str, method: str) -> str:
    """Write the narrowest rule that works: one user, one address."""
    bits = ipaddress.ip_address(address).max_prefixlen
    return f"host    replication     {_quoted(user):<15} {address}/{bits}            {method}"


def _quoted(user: str) -> str:
    """Quote a name that would mean something else in this file."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", user) and user != "all":
        return user
    return '"' + user.replace('"', '""') + '"'


def errors(rules: Sequence[HbaRule]) -> list[str]:
    """List what the server cannot read in the file.

    A rule with an error is one that never matches, such as hostssl where TLS is off: it is loaded.
    """
    return [
        f"{rule.file_name or 'pg_hba.conf'} line {rule.line_number}: {rule.error}"
        for rule in rules
        if rule.error and rule.type is None
    ]
