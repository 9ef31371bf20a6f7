"""Names inside a backup, which come from outside and are not to be trusted."""

from __future__ import annotations

from runbook.errors import Refused


def inside(name: str, *, where: str) -> str:
    """Return `name` without leading "./" and trailing "/".

    `where` names the archive or manifest for the message. The root itself is "".
    Raises `Refused` for a name that would leave the directory it is unpacked into.
    """
    reason = _fault(name)
    if reason:
        raise Refused(
            f'{where} holds a name that is not safe to restore: "{name!r}"',
            detail=f"The name {reason}.",
            hint="PostgreSQL writes no such name. Do not unpack this backup; find out who made it.",
        )
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is absolute"
    if ".." in name.split("/"):
        return 'climbs out of the directory with ".."'
    if any(ord(char) < 32 for char in name):
        return "holds control characters"
    return ""
