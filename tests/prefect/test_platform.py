"""A platform's clusters: each one that it names is backed up, or told by name."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from blocks.load import use_inventory
from flows._platform import WholePlatform, whole_platform
from flows.platform.job_export import job_export
from flows.platform.platform_backup import platform_backup
from runbook import step
from runbook.approval import Nobody
from runbook.drive import Driver, Order, Result
from runbook.watch import LogWatcher

Look = Callable[[WholePlatform], None]
AUDIT = {"store": "vault"}


def cluster(**settings: object) -> dict[str, object]:
    node = {"name": "one", "host": {"name": "here"}}
    return {"nodes": [node], "backups": {"store": "vault"}, **settings}


def planned(
    tmp_path: Path, clusters: dict[str, dict[str, object]], *names: str, look: Look
) -> Result:
    """Plan a platform of these clusters; the first one names others."""
    head, *_ = clusters
    clusters[head]["platform"] = {"clusters": list(names)}
    path = tmp_path / "inventory.yaml"
    stores = {"vault": {"location": {"kind": "folder", "path": str(tmp_path)}}}
    with path.open("w") as file:
        YAML().dump({"stores": stores, "clusters": clusters}, file)

    def body() -> None:
        with step("1", "Find"):
            found = whole_platform(head, "")
        with step("2", "Look"):
            look(found)

    def work() -> Result:
        use_inventory(path)
        order = Order(platform_backup.name, head, {"cluster": head}, body, tuple)
        return Driver(tmp_path / "state", Nobody(), LogWatcher()).dry_run(order)

    return copy_context().run(work)


def failures(platform: WholePlatform) -> dict[str, str]:
    return {str(part): part.error.message if part.error else "" for part in platform.parts.failed}


def test_a_cluster_that_is_named_and_has_nothing_to_back_up_fails_by_name(tmp_path: Path) -> None:
    dumps = {"databases": ["auditlog"]}

    def look(platform: WholePlatform) -> None:
        assert list(map(str, platform.clusters)) == ["head", "group", "bare"]
        (seen,) = failures(platform).items()
        assert seen[0] == "settings of bare"
        assert "names cluster bare, and nothing of it is backed up" in seen[1]

    clusters = {"head": cluster(), "group": cluster(components=dumps), "bare": cluster()}
    planned(tmp_path, clusters, "group", "bare", look=look)


def test_what_a_cluster_has_is_not_known_while_its_settings_cannot_be_read(tmp_path: Path) -> None:
    def look(platform: WholePlatform) -> None:
        platform.back_up(job_export)
        assert platform.parts.ended[-1].outcome == "not set"
        replace(platform, unread=("nowhere",)).back_up(job_export)
        last = platform.parts.ended[-1]
        assert (last.runbook, last.outcome) == ("job-export", "not known")
        assert "not those of nowhere" in last.why
        assert platform.parts.by_cluster["head"] == {"job-export": "not set"}

    planned(tmp_path, {"head": cluster()}, look=look)


@pytest.mark.parametrize(
    ("first", "member", "told"),
    [(None, AUDIT, True), (AUDIT, AUDIT, False), (AUDIT, None, False), (None, None, False)],
)
def test_a_member_whose_record_goes_elsewhere_is_told(
    tmp_path: Path,
    first: dict[str, str] | None,
    member: dict[str, str] | None,
    told: bool,
) -> None:
    def look(platform: WholePlatform) -> None:
        seen = failures(platform)
        assert (list(seen) == ["settings of group"]) is told
        assert ("audit record copied elsewhere" in str(seen)) is told
        assert list(map(str, platform.clusters)) == ["head", "group"]

    dumps = {"databases": ["auditlog"]}
    clusters = {
        "head": cluster(**({"audit": first} if first else {})),
        "group": cluster(components=dumps, **({"audit": member} if member else {})),
    }
    planned(tmp_path, clusters, "group", look=look)
