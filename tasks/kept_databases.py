"""Databases that recoveries and restores of databases have set aside."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook import Need, check, ensure, fact
from runbook.actions import Action
from runbook.components.standing import aside_name as restored_aside
from runbook.components.standing import standing
from runbook.errors import SettingsError
from runbook.logical.recovery.databases import (
    Database,
    databases,
    droppings,
    identifier,
    subscriptions,
    unsubscribing,
)
from runbook.logical.recovery.mark import aside_name as recovered_aside
from runbook.logical.recovery.mark import read_mark
from runbook.plan import NOTHING_REMOVED, Fact
from runbook.postgres import Node
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task

_MOMENT = re.compile(r"[0-9]{14}")
_SPARE = "none of them is an unfinished restore's way back, or the only copy"
_HINT = (
    "Bring it to its end: start logical-recovery or component-restore again; or go back by hand, "
    'as its page tells. An only copy is dropped by hand, if it has to be: DROP DATABASE "<name>".'
)


@dataclass(frozen=True)
class KeptDatabases:
    """What was set aside on a primary at a moment."""

    primary: Node
    moment: str

    def found(self) -> tuple[Database, ...]:
        """Ask which of them are still there."""
        ending = recovered_aside("", self.moment)
        there = databases(self.primary)
        return tuple(there[name] for name in sorted(there) if name.endswith(ending))

    def is_spare(self) -> bool:
        """Tell whether nothing needs any of them."""
        return not self._needed()

    def told(self) -> str:
        """Tell what needs which of them."""
        return "; ".join(f"{name}: {why}" for name, why in self._needed().items())

    def _needed(self) -> dict[str, str]:
        recovery, now = read_mark(self.primary), standing(self.primary)
        needed = {}
        for each in self.found():
            successors = [one for one in now.values() if each.name in self._asides_of(one.name)]
            unfinished = [one.mark for one in successors if one.mark and not one.mark.is_finished]
            if recovery is not None and recovery.needs(each.oid):
                needed[each.name] = f"way back of the recovery of {recovery.backup}, not at its end"
            elif unfinished:
                needed[each.name] = (
                    f"way back of the restore of {unfinished[0].dump}, not at its end"
                )
            elif not successors:
                needed[each.name] = "no database bears the name that it had"
        return needed

    def subscribed(self) -> dict[str, tuple[str, ...]]:
        """Name the subscriptions in them: whoever made one must know of its end."""
        there = subscriptions(self.primary)
        return {each.name: there[each.name] for each in self.found() if each.name in there}

    def unsubscribing(self) -> str:
        """Tell how they are dropped by hand, in databases that let nobody in."""
        told = (
            f"in postgres: ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true; then in "
            f"{name}: {unsubscribing(there)}."
            for name, there in self.subscribed().items()
        )
        return (
            "A database with a subscription cannot be dropped. If they may go, in psql on "
            f"{self.primary}, without a pause (an enabled one goes on once it is let in): "
            f"{' '.join(told)} Then start again. Their slots on the publisher stay: drop there "
            "what no other database uses."
        )

    def _asides_of(self, name: str) -> tuple[str, str]:
        return recovered_aside(name, self.moment), restored_aside(name, self.moment)

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
        told = f"no database that was set aside at {moment} is kept on {primary}"
        current().builder.lead(Fact(name=NOTHING_REMOVED, value=told, bound=False))
    check(_SPARE, kept.is_spare, seen=kept.told, hint=_HINT)
    check(
        "no subscription is left in them",
        lambda: not kept.subscribed(),
        seen=lambda: "; ".join(f"{name}: {', '.join(s)}" for name, s in kept.subscribed().items()),
        hint=kept.unsubscribing() if kept.subscribed() else "",
    )
    return kept


@task("drop the databases that were set aside at {kept.moment}")
def drop(kept: KeptDatabases) -> None:
    """Drop databases that were set aside, for good."""
    ensure(
        f"no database that was set aside at {kept.moment} is left on {kept.primary}",
        holds=lambda: not kept.found(),
        needs=[Need(_SPARE, kept.is_spare, kept.told, _HINT)],
        by=kept.dropping,
    )
