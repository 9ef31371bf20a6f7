"""SQL that makes a database, gives it what belongs to it, and puts it in another's place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runbook.components.properties import DatabaseProperties, DatabaseSetting

# Their values are lists of names: each is quoted by itself, as pg_dump does.
_LISTS = frozenset(
    {
        *("local_preload_libraries", "search_path", "session_preload_libraries"),
        *("shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"),
    }
)
_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^",\s]+)')
_QUIET = """\\set VERBOSITY terse
SET log_statement = 'none'; SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
"""
_PROVIDERS = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}


def creating(name: str, made: DatabaseProperties) -> str:
    """Write CREATE DATABASE for an empty one, in its own encoding, locale and tablespace."""
    words = [
        f"CREATE DATABASE {identifier(name)} TEMPLATE template0",
        f"OWNER {identifier(made.owner)} ENCODING {literal(made.encoding)}",
        f"LC_COLLATE {literal(made.collate)} LC_CTYPE {literal(made.ctype)}",
        f"TABLESPACE {identifier(made.tablespace)}",
    ]
    if made.provider in _PROVIDERS:
        provider, locale = _PROVIDERS[made.provider]
        words.append(f"LOCALE_PROVIDER {provider} {locale} {literal(made.locale)}")
    return " ".join(words)


def dressing(name: str, made: DatabaseProperties, *, shown: bool = False) -> tuple[str, ...]:
    """Write what gives a database its comment, limit, rights and settings.

    `shown` to people, a setting of an application's own (its name has a dot) is `***`: some keep
    a secret there.
    """
    target = identifier(name)
    lines = [f"ALTER DATABASE {target} CONNECTION LIMIT {made.connection_limit}"]
    if made.comment:
        lines.append(f"COMMENT ON DATABASE {target} IS {literal(made.comment)}")
    if made.has_rights:
        owner = identifier(made.owner)
        lines.append(f"REVOKE ALL ON DATABASE {target} FROM PUBLIC, {owner}")
        lines += [
            f"GRANT {right.privilege} ON DATABASE {target} TO {_role(right.role)}"
            f"{' WITH GRANT OPTION' if right.grantable else ''}"
            for right in made.rights
        ]
    return (*lines, *(_setting(target, setting, shown=shown) for setting in made.settings))


def quietly(lines: Sequence[str]) -> str:
    """Write a psql script that does all or nothing, and puts no statement into the server's log."""
    return _QUIET + "".join(f"{line};\n" for line in ("BEGIN", *lines, "COMMIT"))


def marking(name: str, mark: str) -> str:
    """Write a run's mark on a database: a setting that nobody else reads."""
    return f"ALTER DATABASE {identifier(name)} SET pg_runbooks.restored TO {literal(mark)}"


def closing(name: str, run_id: str) -> str:
    """Write what lets nobody into a database any more, superusers among them, with the mark."""
    mark = f"ALTER DATABASE {identifier(name)} SET pg_runbooks.closed TO {literal(run_id)}"
    return f"{mark}; ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS false"


def opening(name: str) -> str:
    """Write what lets everybody into a database again, and takes the mark away."""
    return f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true; {unmarking(name)}"


def unmarking(name: str) -> str:
    """Write what takes the mark of `closing` away."""
    return f"ALTER DATABASE {identifier(name)} RESET pg_runbooks.closed"


def ending(names: Sequence[str]) -> str:
    """Write what ends all sessions in databases."""
    listed = ", ".join(literal(name) for name in names)
    return (
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
        f"WHERE datname IN ({listed}) AND pid <> pg_catalog.pg_backend_pid()"
    )


def renaming(pairs: Sequence[tuple[str, str]]) -> str:
    """Write renames that happen all or not at all: psql sends them as one transaction."""
    return "; ".join(
        f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)}" for old, new in pairs
    )


def dropping(name: str) -> str:
    """Write what drops a database, with everybody in it."""
    return f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if chr(92) in text else f"'{quoted}'"


def _role(name: str) -> str:
    return identifier(name) if name else "PUBLIC"


def _setting(target: str, setting: DatabaseSetting, *, shown: bool) -> str:
    name, _, value = setting.text.partition("=")
    where = f"ROLE {identifier(setting.role)} IN DATABASE" if setting.role else "DATABASE"
    quoted = ".".join(identifier(part) for part in name.split("."))
    told = "'***'" if shown and "." in name else _value(name, value)
    return f"ALTER {where} {target} SET {quoted} TO {told}"


def _value(name: str, value: str) -> str:
    if name.lower() not in _LISTS:
        return literal(value)
    items = [m[1].replace('""', '"') if m[2] is None else m[2] for m in _ITEM.finditer(value)]
    return ", ".join(literal(item) for item in items) or "''"
