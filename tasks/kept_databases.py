"""Databases that logical recoveries have set aside."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook import Need, check, ensure, fact, note
from runbook.actions import Action
from runbook.errors import SettingsError
from runbook.logical.recovery.databases import Database, databases, droppings
from runbook.logical.recovery.mark import aside_name, read_mark
from runbook.postgres import Node
from runbook.units import readable_bytes
from tasks._task import task

_MOMENT = re.compile(r"[0-9]{14}")
_OVER = "no recovery that has not come to its end could need them as its way back"
_HINT = "Bring it to its end: start logical-recovery again; or go back by hand, as its page tells."


@dataclass(frozen=True)
class KeptDatabases:
    """What was set aside on a primary at a moment."""

    primary: Node
    moment: str

    def found(self) -> tuple[Database, ...]:
        """Ask which of them are still there."""
        ending = aside_name("", self.moment)
        there = databases(self.primary)
        return tuple(there[name] for name in sorted(there) if name.endswith(ending))

    def is_over(self) -> bool:
        """Tell whether none of them is the way back of a recovery that has not come to its end."""
        return not self._needed()

    def told(self) -> str:
        """Tell which of them are, and of which recovery."""
        mark = read_mark(self.primary)
        backup = mark.backup if mark is not None else ""
        return f"{', '.join(self._needed())}: way back of the recovery of {backup}, not at its end"

    def _needed(self) -> tuple[str, ...]:
        mark = read_mark(self.primary)
        if mark is None:
            return ()
        return tuple(each.name for each in self.found() if mark.needs(each.oid))

    def dropping(self) -> tuple[Action, ...]:
        """Drop them all."""
        return tuple(action for each in self.found() for action in droppings(self.primary, each))


@task("find the databases that were set aside at {moment}")
def find(primary: Node, moment: str) -> KeptDatabases:
    """Find the databases that were set aside, and tell which they are and how much."""
    if not _MOMENT.fullmatch(moment):
        raise SettingsError(
            f"moment is 14 digits, not {moment!r}",
            hint="It is what their names end in: shop_aside_20261121154000.",
        )
    kept = KeptDatabases(primary.located(), moment)
    found = kept.found()
    fact("node", f"{primary} on {primary.host} ({primary.host.way})")
    for each in found:
        fact(f"database {each.name}", readable_bytes(each.size), bound=False)
    if not found:
        note(f"nothing that was set aside at {moment} is kept on {primary}")
    check(_OVER, kept.is_over, seen=kept.told, hint=_HINT)
    return kept


@task("drop the databases that were set aside at {kept.moment}")
def drop(kept: KeptDatabases) -> None:
    """Drop databases that were set aside, for good."""
    ensure(
        f"no database that was set aside at {kept.moment} is left on {kept.primary}",
        holds=lambda: not kept.found(),
        needs=[Need(_OVER, kept.is_over, kept.told, _HINT)],
        by=kept.dropping,
    )
