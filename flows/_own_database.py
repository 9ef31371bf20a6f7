"""Prefect's own database: a run that Prefect conducts must not touch the cluster that holds it."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.context import FlowRunContext

from runbook.cluster import Cluster
from runbook.own_database import refuse_own_database
from runbook.postgres import Node


def refuse_ours(cluster: Cluster, leaves: Sequence[Node] = ()) -> None:
    """Refuse a cluster that holds the database of the Prefect server of this run, if it has one.

    Or a server that it `leaves`.
    """
    if FlowRunContext.get() is not None:
        refuse_own_database(cluster, own_database_url(), leaves)


def own_database_url() -> str:
    """Give where the settings of this process say that Prefect keeps its runs."""
    from prefect.settings import get_current_settings

    url = get_current_settings().server.database.connection_url
    return url.get_secret_value() if url else ""
