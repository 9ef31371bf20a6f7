"""Where the settings come from: an inventory file, or the blocks of the Prefect server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli.server import reach_server

if TYPE_CHECKING:
    from runbook.cluster import Cluster
    from runbook.errors import RunbookError
    from runbook.inventory import Inventory

ENVIRONMENT = "PG_RUNBOOKS_INVENTORY"

InventoryOption = Annotated[
    Path | None,
    typer.Option(
        "--inventory",
        "-i",
        envvar=ENVIRONMENT,
        help="Take the settings from this file and ask no Prefect server.",
        rich_help_panel="Settings",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def use(path: Path | None) -> Inventory | None:
    """Take all settings from the file, read as a whole first; None: the server has them."""
    if path is None:
        reach_server(way_round="do without it: --inventory FILE")
        return None
    from blocks.load import use_inventory
    from runbook.inventory import read_inventory

    inventory = read_inventory(path)
    use_inventory(path)
    return inventory


def looked_at(
    name: str, inventory: Inventory | None
) -> tuple[tuple[Cluster, ...], dict[str, RunbookError]]:
    """Give the chosen clusters, and why not those whose settings on the server cannot be used."""
    from blocks.load import usable_clusters

    if inventory is not None:
        return (inventory.cluster(name),) if name else inventory.clusters, {}
    if name:
        return usable_clusters((name,))
    from blocks._saved import saved_names
    from blocks.cluster import PostgresCluster

    return usable_clusters(saved_names(PostgresCluster))


def tell_left_out(failed: Mapping[str, RunbookError], verb: str) -> None:
    """Tell on the standard error what could not be done as all others were; the caller fails."""
    for name, error in failed.items():
        print(f"{name}: not {verb}\n{error}", file=sys.stderr)
