"""Dumps of pg_dumpall: what is in one, may it run, and the loading of it."""

from runbook.logical.load.closed import CREATED_AS
from runbook.logical.load.contents import Contents, Database, Table
from runbook.logical.load.errors import DumpRefused, LoadFailed
from runbook.logical.load.loader import load
from runbook.logical.load.survey import survey
from runbook.logical.load.work import Loaded

__all__ = [
    "CREATED_AS",
    "Contents",
    "Database",
    "DumpRefused",
    "LoadFailed",
    "Loaded",
    "Table",
    "load",
    "survey",
]
