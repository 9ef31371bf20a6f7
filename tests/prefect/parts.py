"""A small platform: a part that writes a line, and the runbook that does it of every cluster."""

from __future__ import annotations

from datetime import UTC, datetime

from flows._platform import whole_platform
from flows._procedure import procedure
from runbook import check, step
from runbook.evidence import Kept, KeptFile
from runbook.run import current
from tasks import platform_evidence
from tests.prefect.procedures import one_line, world


@procedure("tock", scheduled=True, hour=3, needs="backups", part_of="whole")
def tock(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Write one line for each run, as a part of a platform; not while the cluster is broken.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "Write the line"):
        broken = world(cluster) / "broken"
        check("the disk is whole", holds=lambda: not broken.exists(), hint="Mend it.")
        one_line(world(cluster) / "tocks")
        now = datetime.now(UTC)
        current().kept.append(Kept("a line", ("here",), (KeptFile("tocks", 1, "0" * 64),), now))


@procedure("whole", alone=False)
def whole(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Do `tock` of every cluster of a platform.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "Find the clusters"):
        platform = whole_platform(cluster, reason)
    with platform.alone():
        with step("2", "Write the lines"):
            platform.back_up(tock)
        with step("3", "Show the evidence"):
            platform_evidence.show(platform.parts)
