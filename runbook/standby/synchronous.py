"""Whether commits on the primary wait for the standby."""

from __future__ import annotations

import re

from runbook.actions import Action, Execute
from runbook.postgres import Node

_NAMES = "SELECT current_setting('synchronous_standby_names') AS names"


def names(primary: Node) -> str:
    """Ask for synchronous_standby_names."""
    return str(primary.ask(_NAMES)[0]["names"])


def waits_for(setting: str, standby: str) -> bool:
    """Tell whether a commit may wait for the standby of this name."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^\s,()"]+)', setting)
    listed = {quoted.replace('""', '"') or plain for quoted, plain in found}
    return "*" in listed or standby.lower() in {name.lower() for name in listed}


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
