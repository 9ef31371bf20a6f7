"""The database of the new Orchestrator: what stands there, and how it becomes empty."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from runbook.actions import Action, Execute
from runbook.components import statements
from runbook.components.properties import DatabaseProperties, properties
from runbook.components.standing import Standing, standing
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.places import Live
from runbook.tools import psql

# What people, or a load, have made: the server's own objects have lower numbers.
_CONTENTS = """
SELECT (SELECT count(*) FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_%')
     + (SELECT count(*) FROM pg_catalog.pg_namespace
        WHERE oid >= 16384 AND nspname NOT LIKE 'pg\\_%')
     + (SELECT count(*) FROM pg_catalog.pg_proc WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_type WHERE oid >= 16384 AND typrelid = 0 AND typelem = 0)
     + (SELECT count(*) FROM pg_catalog.pg_extension WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata) AS number
"""
_NEEDS = """
SELECT (SELECT coalesce(jsonb_agg(rolname), '[]') FROM pg_catalog.pg_roles) AS roles,
       (SELECT coalesce(jsonb_agg(DISTINCT name), '[]') FROM (
          SELECT collcollate AS name FROM pg_catalog.pg_collation WHERE collcollate IS NOT NULL
          UNION SELECT datcollate FROM pg_catalog.pg_database) AS n) AS locales
"""
_NAME_BYTES = 63
_ENDING = re.compile(r"_before_[0-9]{14}(_[0-9]+)?$")
_SECONDS = 600.0


@dataclass(frozen=True)
class Target:
    """The database that a backup is loaded into."""

    live: Live
    backup: OrchestratorBackup

    @property
    def name(self) -> str:
        """Give its name."""
        return self.live.settings.database

    def now(self) -> Standing | None:
        """Give what stands there under its name."""
        return standing(self.live.node).get(self.name)

    def wanted(self) -> DatabaseProperties:
        """Give how it is to be made: as on the old one, for the user and the disk of this one."""
        known = {"owner": self.live.settings.database_user, "tablespace": "pg_default"}
        return self.backup.properties.model_copy(update=known)

    def lacks(self) -> tuple[str, ...]:
        """Name what the database would miss: its owner and other roles, the locale."""
        made, row = self.wanted(), self.live.node.ask(_NEEDS)[0]
        roles = sorted(made.roles() - _names(row["roles"]))
        known = {_locale(name) for name in _names(row["locales"])} | {"c", "posix"}
        locales = dict.fromkeys((made.collate, made.ctype))
        return (
            *(f"role {name}" for name in roles),
            *(f"locale {name}" for name in locales if _locale(name) not in known),
        )

    def is_empty(self) -> bool:
        """Tell whether it is there as psql -l should list it, open, bare, with nothing in it."""
        now = self.now()
        if now is None or not now.open:
            return False
        made = properties(self.live.node, self.name)
        bare = not made.settings and not made.has_rights
        return bare and _listed(made) == self.to_be_listed() and self.contents() == 0

    def contents(self) -> int:
        """Count what people, or a load, have made in it."""
        return int(str(self.live.node.ask(_CONTENTS, database=self.name)[0]["number"]))

    def listed(self) -> tuple[str, ...]:
        """Give owner, encoding and locale, as psql -l lists them."""
        return _listed(properties(self.live.node, self.name))

    def to_be_listed(self) -> tuple[str, ...]:
        """Give owner, encoding and locale as they should be."""
        return _listed(self.wanted())

    def aside(self) -> str:
        """Name the database that what stands there is kept as; never one that is there."""
        taken, number = standing(self.live.node), 1
        while (name := self._ended(number)) in taken:
            number += 1
        return name

    def kept(self) -> tuple[Standing, ...]:
        """Give the databases that restores of any backup have set aside, by their names."""
        there = sorted(standing(self.live.node).items())
        return tuple(each for name, each in there if self._is_kept(name))

    def emptying(self) -> tuple[Action, ...]:
        """Give what makes an empty one, and keeps what stands there under another name.

        Who is in it is sent away as it is renamed, in one transaction: a newcomer waits for that,
        and finds no database of the name. So it happens all or not at all.
        """
        name, lines = self.name, []
        if self.now() is not None:
            aside = self.aside()
            lines = [f"{statements.ending([name])}; {statements.renaming([(name, aside)])}"]
        lines.append(statements.creating(name, self.wanted()))
        node = self.live.node
        return tuple(
            Execute(node.console, node.statement(line, timeout=_SECONDS)) for line in lines
        )

    def dressing(self) -> Action:
        """Give what applies rights, settings, limit and comment; a secret is in no argv."""
        node, made = self.live.node, self.wanted()
        command = psql.script(
            node.program("psql"),
            statements.quietly(statements.dressing(self.name, made)),
            user=node.server_user,
            port=node.port,
            socket=node.socket_directory,
            database="postgres",
        )
        shown = "; ".join(statements.dressing(self.name, made, shown=True))
        line = node.console.shown(node.statement(shown))
        return Execute(node.console, replace(command, confidential=True), shown=line)

    def undressed(self) -> tuple[str, ...]:
        """Tell which of rights, settings, limit and comment are not those of the backup."""
        made, now = self.wanted().in_order(), properties(self.live.node, self.name).in_order()
        wrong = {
            "its rights": made.has_rights and now.rights != made.rights,
            "its settings": not set(made.settings) <= set(now.settings),
            "its connection limit": now.connection_limit != made.connection_limit,
            "its comment": bool(made.comment) and now.comment != made.comment,
        }
        return tuple(name for name, is_wrong in wrong.items() if is_wrong)

    def _ended(self, number: int) -> str:
        return self._named(f"_before_{self.backup.id}{f'_{number}' if number > 1 else ''}")

    def _is_kept(self, name: str) -> bool:
        found = _ENDING.search(name)
        return found is not None and name == self._named(found[0])

    def _named(self, ending: str) -> str:
        return self.name[: _NAME_BYTES - len(ending)] + ending


def _names(value: object) -> frozenset[str]:
    assert isinstance(value, list)
    return frozenset(map(str, value))


def _listed(made: DatabaseProperties) -> tuple[str, ...]:
    return (made.owner, made.encoding, _locale(made.collate), _locale(made.ctype))


def _locale(name: str) -> str:
    """Give a locale's name as the operating system compares it: en_US.UTF-8 is en_US.utf8."""
    language, _, encoding = name.partition(".")
    return f"{language}.{encoding.replace('-', '')}".lower().rstrip(".")
