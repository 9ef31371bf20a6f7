"""What belongs to a database and not to its contents: owner, locale, settings, rights, comment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from runbook.errors import CheckFailed
from runbook.postgres import Node

# Texts are quoted by the server itself. A locale provider came with PostgreSQL 15; its columns
# are read by name, so that one statement serves all versions.
_PROPERTIES = """
SELECT r.rolname AS owner, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
       d.datcollate AS collate, d.datctype AS ctype, t.spcname AS tablespace,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
       coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale', '') AS locale,
       d.datconnlimit AS connection_limit,
       coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') AS comment,
       d.datacl IS NOT NULL AS has_rights,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
           'role', CASE WHEN a.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
           'privilege', a.privilege_type, 'grantable', a.is_grantable))
         FROM pg_catalog.aclexplode(d.datacl) AS a), '[]') AS rights,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
           'role', CASE WHEN s.setrole = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole) END,
           'text', c) ORDER BY s.setrole, c)
         FROM pg_catalog.pg_db_role_setting AS s, unnest(s.setconfig) AS c
         WHERE s.setdatabase = d.oid AND c NOT LIKE 'pg_runbooks.%'), '[]') AS settings
FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.datdba
JOIN pg_catalog.pg_tablespace AS t ON t.oid = d.dattablespace
WHERE d.datname = '{name}'
"""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Right(_Value):
    """A privilege on the database; without a role, everybody's."""

    role: str
    privilege: str
    grantable: bool


class DatabaseSetting(_Value):
    """A setting of the database, `name=value`; with a role, that role's in it."""

    role: str
    text: str


class DatabaseProperties(_Value):
    """A database without its contents, as its server described it."""

    owner: str
    encoding: str
    collate: str
    ctype: str
    tablespace: str
    provider: str
    locale: str
    connection_limit: int
    comment: str
    has_rights: bool
    rights: tuple[Right, ...]
    settings: tuple[DatabaseSetting, ...]

    def in_order(self) -> DatabaseProperties:
        """Give the same in an order that no server's own numbers decide, nothing twice."""
        return self.model_copy(
            update={
                "rights": tuple(sorted(set(self.rights), key=str)),
                "settings": tuple(sorted(set(self.settings), key=str)),
            }
        )

    def differences(self, wanted: DatabaseProperties) -> tuple[str, ...]:
        """Tell what is not as wanted; settings by their names, for a value may be a secret."""
        mine, theirs = self.in_order(), wanted.in_order()
        told = [
            f"{name}: {getattr(mine, name)!r}, wanted {getattr(theirs, name)!r}"
            for name in type(self).model_fields
            if name != "settings" and getattr(mine, name) != getattr(theirs, name)
        ]
        for one in sorted(set(mine.settings) ^ set(theirs.settings), key=str):
            name = one.text.partition("=")[0]
            told.append(f"setting {name}{f' of role {one.role}' if one.role else ''}")
        return tuple(dict.fromkeys(told))

    def roles(self) -> frozenset[str]:
        """Name every role that it speaks of."""
        named = {*(right.role for right in self.rights), *(one.role for one in self.settings)}
        return frozenset({self.owner, *named} - {""})


def properties(node: Node, database: str) -> DatabaseProperties:
    """Ask a server for a database's properties; CheckFailed when it has none of that name."""
    rows = node.ask(_PROPERTIES.format(name=database.replace("'", "''")))
    if not rows:
        raise CheckFailed(f"there is no database {database} on {node}")
    return DatabaseProperties.model_validate(rows[0])
