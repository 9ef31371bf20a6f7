"""A logical backup on a run's record: which one, how large, with which checksums."""

from __future__ import annotations

from typing import Literal

from runbook.logical.metadata import LogicalMetadata
from runbook.run import Run

Role = Literal["taken", "restored", "verified"]


def on_record(run: Run, metadata: LogicalMetadata, role: Role) -> None:
    """Write down what a reviewer needs to find and check a backup; a plan has no record."""
    run.record(
        "backup",
        role=role,
        id=metadata.id,
        node=metadata.node,
        size=metadata.dump_size,
        stored=metadata.stored_size,
        seconds=round(metadata.seconds, 3),
        finished=metadata.finished.isoformat(timespec="seconds"),
        verified=metadata.verified.isoformat(timespec="seconds"),
        server_version=metadata.server_version,
        objects=[part.model_dump(mode="json") for part in metadata.parts],
    )
