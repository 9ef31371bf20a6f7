"""Which database system a server is: that of its newest backup, or one that was made anew."""

from __future__ import annotations

from runbook import check, fact
from runbook.postgres import Node
from runbook.units import readable_bytes
from tasks.locate import database_bytes


def insist_on_same(
    node: Node, newest: str, of_system: str, procedure: str, *, other_system: bool
) -> None:
    """Refuse another system than that of the `newest` backup, unless another one is wanted."""
    seen = node.identity().system_identifier
    if other_system and seen != of_system:
        fact("ANOTHER SYSTEM", f"{newest} is of {of_system}; it stays, {node} goes on")
        return
    check(
        "it is the database system of the newest backup",
        lambda: seen == of_system,
        seen=lambda: (
            f"{node} is {seen}, with {readable_bytes(database_bytes(node))} of databases; "
            f"{newest} is of {of_system}"
        ),
        hint=f"Was the volume of {node} not mounted, and the server made anew? Then do not use it; "
        "bring the data back. If it is right (a new cluster, a major upgrade, an older system "
        f"restored): {procedure} with other_system=true, once.",
    )
