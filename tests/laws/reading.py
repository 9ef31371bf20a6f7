"""The scripts (`sh -c`) of the replication runbooks that only look, for `Scene.unchanged`.

One place for all of them: read a script before you add it, one line each, sorted by its module.
psql statements need no entry: they are judged by the servers' logs.
"""

from __future__ import annotations

from runbook.replication import clone_places, history, limits, returning
from runbook.tools import pg_waldump
from tests.laws import restore_scene

REPLICATION = (
    *restore_scene.READING,
    clone_places._USED,
    history._BYTES,
    limits._WOULD_BE,
    pg_waldump._COMMITS,
    returning.NO_SERVER_SINCE,
)
