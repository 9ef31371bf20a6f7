"""How many rows a database holds of the tables that a dump has written a COPY for."""

from __future__ import annotations

from collections.abc import Sequence

# Rows that were dumped by way of a partitioned table (--load-via-partition-root, and hash
# partitions of an enum) are counted through it, but for the partitions that the dump names
# themselves. Generated, and run by psql's \gexec: number, rows, whether it is an extension's.
_COUNT = """
SELECT pg_catalog.format('SELECT %s, pg_catalog.count(*), %L FROM %s', t.number,
    EXISTS (SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
              AND d.deptype = 'e')::text,
    CASE WHEN c.relkind = 'p' THEN pg_catalog.format('%s WHERE tableoid <> ALL (%L::oid[])',
        c.oid::pg_catalog.regclass,
        ARRAY(SELECT name::pg_catalog.regclass::oid FROM named)::text)
    ELSE pg_catalog.format('ONLY %s', c.oid::pg_catalog.regclass) END)
FROM named AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.name::pg_catalog.regclass
ORDER BY t.number
\\gexec
"""


def counting(tables: Sequence[str]) -> str:
    """Write a psql script that counts tables: `number|rows|true or false`, numbered from 0.

    The names stand as SQL writes them, qualified and quoted.
    """
    named = ", ".join(_text(name) for name in tables)
    array = f"pg_catalog.unnest(ARRAY[{named}]::text[]) WITH ORDINALITY AS n (name, number)"
    return f"WITH named AS (SELECT name, number - 1 AS number FROM {array}){_COUNT}"


def _text(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
