"""The lines of `check`: one cause is told once, and every line stands where it belongs."""

from __future__ import annotations

import pytest

from deployments.cli.check import _shown
from deployments.cli.finding import Finding
from deployments.cli.findings import findings
from runbook.cluster import Cluster
from runbook.hosts import Host
from runbook.inventory import StoreSettings

CLUSTER = {
    "name": "shop",
    "nodes": [
        {
            "name": "db",
            "host": {
                "name": "shop-db-1",
                "way": {"kind": "ssh", "address": "192.0.2.1", "key_file": "/nowhere/key"},
            },
        }
    ],
    "backups": {"store": "on-the-server"},
}


@pytest.mark.parametrize("kind", ["node-folder", "folder"])
def test_a_host_that_is_not_reached_is_told_once(kind: str, tmp_path: object) -> None:
    cluster = Cluster.model_validate(CLUSTER)
    location = {"kind": kind, "path": str(tmp_path)}
    store = StoreSettings.model_validate({"name": "s", "location": location})
    lost: set[Host] = set()
    failed = [found for found in findings(cluster, store, lost) if not found.ok]
    assert "no private key /nowhere/key" in failed[0].seen
    assert [found.hint for found in failed[1:]] == [""]
    assert failed[1].seen.startswith("not tried: shop-db-1")
    assert {str(host) for host in lost} == {"shop-db-1"}


def test_every_line_of_a_detail_stands_in_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    found = Finding("node db", "PostgreSQL answers", ok=False, seen="one\n\ttwo", hint="a\nb")
    assert list(_shown("Cluster shop", [found])) == [found]
    assert capsys.readouterr().out.splitlines()[2:] == [
        "          DETAIL: one",
        "                  \ttwo".expandtabs(),
        "          HINT: a",
        "                b",
    ]
