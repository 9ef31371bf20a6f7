"""The incident: a backup is there, a table is lost, a restore brings it back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deployments.answers import answer, waiting
from deployments.cli.listener import Listener
from deployments.cli.screen import show_page
from deployments.demo import application
from deployments.demo.database import DATABASE, Shop
from deployments.demo.inventory import CLUSTER
from deployments.demo.place import Place
from deployments.demo.stages import Stages
from deployments.orders import Told, order
from runbook.audit import read_trail
from runbook.errors import CheckFailed
from runbook.run import Parameter

_DAMAGE_SECONDS = 1.5
_APPROVER = "Dana the demo"


@dataclass
class Ear:
    """Prints what a run tells and keeps what the summary needs."""

    stages: Stages
    recovery_time: str = "not told"
    recovery_point: str = "not told"

    def hear(self, line: Told) -> None:
        """Hear one line."""
        text = line.text
        self.stages.line(text)
        if "(RTO): " in text:
            self.recovery_time = text.partition("(RTO): ")[2].removesuffix(": note")
        if "(RPO): " in text:
            self.recovery_point = text.partition("(RPO): ")[2].removesuffix(": note")


def restore_lost_table(home: Place, shop: Shop, ui: str, stages: Stages) -> None:
    """Back up, lose a table, restore, and print what was checked."""
    at_least = shop.orders()
    stages.stage("Runbook base-backup, through its deployment")
    _finish(order("base-backup", CLUSTER, _go("demo")), Listener(Ear(stages).hear))
    at_most = shop.orders()

    time.sleep(_DAMAGE_SECONDS)
    before, moment = shop.orders(), _now(shop)
    stages.stage(f"Damage: DROP TABLE orders, with {before:,} rows in it")
    shop.execute("DROP TABLE orders")

    stages.stage("Runbook instance-restore, through its deployment")
    ear = Ear(stages)
    listener = Listener(ear.hear)
    run = order("instance-restore", CLUSTER, _go("the table orders is gone"))
    _approve(run, listener, stages)
    _finish(run, listener)

    after = _orders_before(shop, moment)
    if not at_least <= after <= at_most:
        raise CheckFailed(
            "the restored shop is not the one that was backed up",
            detail=f"{after} orders, the backup has from {at_least} to {at_most}",
        )
    stages.stage("Back in service")
    rows = {"before": before, "lost": before - after, "after": after}
    _summary(home, run, rows, ear, ui)


def _go(reason: str) -> Mapping[str, Parameter]:
    return {"dry_run": False, "reason": reason}


def _approve(run: UUID, listener: Listener, stages: Stages) -> None:
    """Read the plan and answer through the same door as `pg-runbooks approve`."""
    standing = listener.follow(run)
    if not standing.waiting:
        raise CheckFailed(f"the restore did not ask: {standing.state}", detail=standing.message)
    stages.stage("It asks for an approval; this is its plan")
    show_page(stages.console, waiting(run).question)
    stages.stage(f"{_APPROVER} approves, as `pg-runbooks approve {run}` does")
    answer(run, "approve", approver=_APPROVER, reason="demo", confirm=CLUSTER)


def _finish(run: UUID, listener: Listener) -> None:
    standing = listener.follow(run)
    if not standing.completed:
        raise CheckFailed(f"run {standing.name} ended as {standing.state}", detail=standing.message)


def _now(shop: Shop) -> str:
    return str(shop.node.ask("SELECT clock_timestamp()::text AS now")[0]["now"])


def _orders_before(shop: Shop, moment: str) -> int:
    """Count the orders from before the damage: the application takes new ones already."""
    sql = f"SELECT count(*) AS orders FROM orders WHERE placed <= '{moment}'"
    return int(str(shop.node.ask(sql, database=DATABASE)[0]["orders"]))


def _summary(home: Place, run: UUID, rows: Mapping[str, int], ear: Ear, ui: str) -> None:
    record = home.state / "audit" / f"{run}.jsonl"
    outages = application.read_report(home.application).outages
    lines = {
        "rows of the lost table": f"{rows['before']:,} before the damage",
        "rows lost": f"{rows['lost']:,}, written after the backup",
        "rows back": f"{rows['after']:,}, all that the backup has",
        "recovery time (RTO)": ear.recovery_time,
        "no order taken for": f"{outages[-1] if outages else 0:.1f} s, the damage included",
        "recovery point (RPO)": ear.recovery_point,
        "audit file": f"{record} ({_entries(record)} entries, chain verified)",
        "the run in the UI": f"{ui}/runs/flow-run/{run}",
    }
    for name, value in lines.items():
        ear.stages.console.print(f"  {name:24}{value}", soft_wrap=True, highlight=False)


def _entries(record: Path) -> int:
    return len(read_trail(record))
