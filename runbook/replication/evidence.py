"""Everything that decides whether a standby is fit, read from all servers at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from runbook.replication.handover import Handover
from runbook.replication.loss import Loss, loss
from runbook.replication.readiness import Readiness, readiness
from runbook.replication.server import Sender, senders
from runbook.replication.slots import Slot, slots


@dataclass(frozen=True)
class Evidence:
    """Settings by node name; what the living primary sends and keeps; what a dead one has alone."""

    settings: Mapping[str, Readiness]
    senders: tuple[Sender, ...] = ()
    slots: tuple[Slot, ...] = ()
    loss: Loss | None = None


def gathered(job: Handover) -> Evidence:
    """Ask for all of it at once: an application may be waiting."""
    alive = {node.name for node in (*job.survey.writable, *job.survey.standbys)}
    asked = [node for node in job.cluster.nodes if node.name in alive]
    old = job.old if job.old is not None and job.old.name in alive else None
    with ThreadPoolExecutor() as pool:
        settings = pool.submit(readiness, asked)
        sent = pool.submit(senders, old) if old is not None else _none()
        kept = pool.submit(slots, old) if old is not None else _none()
        lost = pool.submit(loss, job) if job.mode == "failover" else None
        return Evidence(
            settings.result(), sent.result(), kept.result(), lost.result() if lost else None
        )


def _none() -> Future[tuple[()]]:
    nothing: Future[tuple[()]] = Future()
    nothing.set_result(())
    return nothing
