"""How old a backup may be, and what of the stores counts as one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.cli.backups import _row
from runbook.backups.backup import StoredObject
from runbook.backups.catalogue import Catalogue
from runbook.cluster import Backups, Cluster
from runbook.health.backups import allowed, backup_findings
from runbook.health.finding import Level
from runbook.health.limits import HealthLimits, Limit
from runbook.hosts import Host, Local
from runbook.inventory import StoreSettings
from runbook.logical.settings import LogicalBackups
from runbook.objectives import Objectives
from runbook.postgres import Node
from runbook.stores import FolderStore
from tests.unit.test_retention import backup

SHOP = Cluster(
    name="shop",
    nodes=(Node(name="db1", host=Host(name="db1", way=Local())),),
    backups=Backups(store="store"),
    logical=LogicalBackups(store="store", guid="abc"),
    encryption_keys={"current": SecretStr("hush")},
)


def test_bounds_are_those_of_the_settings_of_the_objective_or_the_usual() -> None:
    assert allowed(SHOP) == Limit(warning=36, critical=72)
    promised = SHOP.model_copy(update={"objectives": Objectives(rpo=timedelta(hours=4))})
    assert allowed(promised) == Limit(warning=5, critical=10)
    own = HealthLimits(backup_hours=Limit(warning=1, critical=3))
    assert allowed(promised.model_copy(update={"health_limits": own})) == own.backup_hours
    off = HealthLimits(backup_hours="off")
    assert allowed(SHOP.model_copy(update={"health_limits": off})) is None


def test_a_base_backup_counts_while_the_store_holds_all_of_it(tmp_path: Path) -> None:
    archive = StoredObject(name="base.tar.zst", size=3, sha256="0" * 64)
    fields = {"objects": (archive,), "finished": datetime.now(UTC)}
    made = backup(0, self_contained=True).model_copy(update=fields)
    store = StoreSettings(name="store", location=FolderStore(path=str(tmp_path)))
    folder = tmp_path / "shop" / made.id
    folder.mkdir(parents=True)
    (folder / "backup.json").write_text(made.model_dump_json())
    shop = SHOP.model_copy(update={"logical": None})

    def look() -> tuple[Level, str]:
        (found,) = backup_findings(shop, lambda _: store, lambda settings: settings.open())
        catalogue = Catalogue(store.open(), "shop")
        (there,) = catalogue.found()
        return found.level, _row(shop, catalogue, there).state

    assert look() == (Level.CRITICAL, "incomplete: base.tar.zst is missing")
    (folder / "base.tar.zst").write_text("cu")
    assert look() == (Level.CRITICAL, "incomplete: base.tar.zst has 2 bytes instead of 3")
    (folder / "base.tar.zst").write_text("all")
    assert look() == (Level.OK, "sound")


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_logical_backups_are_as_old_as_their_names_say_and_count_with_their_record(
    tmp_path: Path, unit: int
) -> None:
    store = StoreSettings(name="store", location=FolderStore(path=str(tmp_path)))

    def levels() -> list[Level]:
        found = backup_findings(SHOP, lambda _: store, lambda settings: settings.open())
        return [finding.level for finding in found]

    def put(hours: float, *endings: str) -> None:
        time = int((datetime.now(UTC) - timedelta(hours=hours)).timestamp() * unit)
        for ending in endings:
            (tmp_path / f"abc-{time}{ending}").write_text("{}")

    put(1, "-0")
    assert levels() == [Level.WARNING, Level.CRITICAL]
    put(80, "-0", ".json")
    assert levels() == [Level.WARNING, Level.CRITICAL]
    put(40, "-0", ".json")
    assert levels() == [Level.WARNING, Level.WARNING]
    put(2, "-0", ".json")
    assert levels() == [Level.WARNING, Level.OK]
    put(-24 * 365, "-0", ".json")
    assert levels() == [Level.WARNING, Level.CRITICAL], (
        "nobody would see for a year that none comes"
    )
