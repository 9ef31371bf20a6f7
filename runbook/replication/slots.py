"""Replication slots of a server, and whether they are the ones that the cluster needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from runbook.postgres import Node
from runbook.units import Lsn, readable_bytes

_SLOTS = """
SELECT slot_name AS name, slot_type AS type, database, temporary, active, wal_status,
       restart_lsn::text AS restart,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE
         pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::int8
       END AS retained
FROM pg_catalog.pg_replication_slots ORDER BY slot_name
"""


class Slot(BaseModel):
    """A replication slot; a logical one belongs to a `database`.

    `wal_status` is reserved, extended, unreserved, lost or nothing for a slot never used;
    `retained` the bytes of WAL that it keeps from being removed.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    type: str
    database: str | None = None
    temporary: bool
    active: bool
    wal_status: str | None
    restart: Lsn | None
    retained: int | None

    def __str__(self) -> str:
        use = "in use" if self.active else "not in use"
        kept = f", keeps {readable_bytes(self.retained)} of WAL" if self.retained else ""
        return f"{self.name} ({use}{kept})"


@dataclass(frozen=True)
class SlotAudit:
    """Slots that are missing, that nobody owns, and that have lost WAL they should keep."""

    missing: tuple[str, ...]
    orphaned: tuple[Slot, ...]
    lost: tuple[Slot, ...]

    @property
    def clean(self) -> bool:
        """Tell whether the slots are exactly those that are needed."""
        return not (self.missing or self.orphaned or self.lost)

    @property
    def told(self) -> str:
        """Give what is wrong, in one line."""
        parts = [
            *(f"missing: {name}" for name in self.missing),
            *(f"belongs to nobody: {slot}" for slot in self.orphaned),
            *(f"has lost WAL: {slot}" for slot in self.lost),
        ]
        return "; ".join(parts) or "none missing, none left over"


def slots(node: Node) -> tuple[Slot, ...]:
    """Ask a server for all of its slots, also those of running backups (temporary)."""
    return tuple(Slot.model_validate(row) for row in node.ask(_SLOTS))


def audited(found: Iterable[Slot], needed: Iterable[str]) -> SlotAudit:
    """Compare a server's lasting physical slots with the names of those it needs.

    Logical slots belong to somebody's subscription and are never called left over.
    """
    wanted = sorted(set(needed))
    lasting = [slot for slot in found if not slot.temporary and slot.type == "physical"]
    names = {slot.name for slot in lasting}
    return SlotAudit(
        missing=tuple(name for name in wanted if name not in names),
        orphaned=tuple(slot for slot in lasting if slot.name not in wanted),
        lost=tuple(slot for slot in lasting if slot.name in wanted and slot.wal_status == "lost"),
    )
