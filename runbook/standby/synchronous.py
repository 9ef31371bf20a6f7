"""Whether commits on the primary wait for the standby."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.postgres import Node
from runbook.replication.readiness import synchronous_shortfall
from runbook.replication.server import senders
from runbook.standby.setup import StandbySetup

_NAMES = "SELECT current_setting('synchronous_standby_names') AS names"
_COUNTED = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?\d+\s*\((.*)\)\s*", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s,()"]+)')


@dataclass(frozen=True)
class Waiting:
    """Whom commits wait for: `setting` is synchronous_standby_names.

    `others` are the standbys beside `standby` that stream and that commits may wait for.
    """

    setting: str
    standby: str
    others: tuple[str, ...] = ()

    @property
    def meant(self) -> bool:
        """Tell whether commits may wait for the standby."""
        return waits_for(self.setting, self.standby)

    @property
    def shared(self) -> bool:
        """Tell whether the setting names or means another standby, too: it is not ours then."""
        return bool(self.others or _listed(self.setting) - {"*", self.standby.lower()})

    @property
    def hangs(self) -> bool:
        """Tell whether commits would wait while the standby is down."""
        return self.meant and synchronous_shortfall(self.setting, self.others) > 0

    @property
    def told(self) -> str:
        """Say the setting, and who else is there."""
        there = f"only {', '.join(self.others)} streams" if self.others else "nobody streams"
        return f"synchronous_standby_names is {self.setting!r}; {there} besides {self.standby}"


def waiting(setup: StandbySetup) -> Waiting:
    """Ask the primary whom its commits wait for, this standby and all others."""
    standby = setup.standby
    others = (
        sender.name
        for sender in senders(setup.primary)
        if sender.state == "streaming" and sender.sync_state != "async"
        if sender.name != standby.name and sender.address != standby.address
    )
    return Waiting(names(setup.primary), standby.name, tuple(others))


def names(primary: Node) -> str:
    """Ask for synchronous_standby_names."""
    return str(primary.ask(_NAMES)[0]["names"])


def waits_for(setting: str, standby: str) -> bool:
    """Tell whether a commit may wait for the standby of this name."""
    return not {"*", standby.lower()}.isdisjoint(_listed(setting))


def _listed(setting: str) -> set[str]:
    """Give the names in a setting, in lower case as PostgreSQL compares them."""
    counted = _COUNTED.fullmatch(setting)
    found = _NAME.findall(counted[1] if counted else setting)
    return {(quoted.replace('""', '"') or plain).lower() for quoted, plain in found}


def only(standby: str) -> str:
    """Give the setting that waits for this one standby."""
    quoted = standby.replace('"', '""')
    return f'FIRST 1 ("{quoted}")'


def change(primary: Node, setting: str) -> tuple[Action, ...]:
    """Write the setting and reload; commits that wait now are let go by an empty one.

    Ref.: PostgreSQL documentation, ALTER SYSTEM
    """
    value = setting.replace("'", "''")
    write = primary.statement(f"ALTER SYSTEM SET synchronous_standby_names = '{value}'")
    reload = primary.statement("SELECT pg_catalog.pg_reload_conf()")
    return (Execute(primary.console, write), Execute(primary.console, reload))
