"""Writes prefect.yaml, for people who deploy with `prefect deploy` instead of `pg-runbooks up`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML

from deployments.register import Plot, discover, plots
from deployments.settings import POOL
from flows._missed_nights import NIGHTLY

PATH = Path(__file__).parent / "prefect.yaml"

_HEAD = """\
# One deployment for each runbook on the example cluster "shop"; copy them for your own clusters.
# `pg-runbooks up` registers the same for every saved cluster, and needs no such file; it schedules
# logical backups, too, where a cluster's settings say where they go.
# Written by `python -m deployments.prefect_yaml`; a test holds that it is true.
# Save the cluster with `pg-runbooks apply`, make the pool, then deploy:
#   prefect work-pool create pg-runbooks --type process
#   prefect --no-prompt deploy --all --prefect-file deployments/prefect.yaml
"""


def prefect_yaml(wanted: Iterable[Plot]) -> str:
    """Give the text of a prefect.yaml with the same deployments that `register` makes."""
    tree = {
        "name": POOL,
        "pull": [],
        "deployments": [_deployment(plot) for plot in wanted],
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.dump(tree, text)
    return _HEAD + text.getvalue()


def example() -> str:
    """Give the text for the example cluster."""
    return prefect_yaml(plots(["shop"], discover().values(), "UTC"))


def _deployment(plot: Plot) -> dict[str, object]:
    made: dict[str, object] = {
        "name": plot.cluster,
        "entrypoint": plot.entrypoint.replace(":", "."),
        "tags": plot.tags,
        "parameters": {"cluster": plot.cluster},
        "work_pool": {"name": POOL},
    }
    if plot.scheduled:
        made["schedules"] = [
            {
                "slug": NIGHTLY,
                "cron": plot.cron,
                "timezone": plot.timezone,
                "parameters": {"dry_run": False},
            }
        ]
    return made


if __name__ == "__main__":
    PATH.write_text(example())
