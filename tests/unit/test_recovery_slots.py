"""Which slots on the primary a logical recovery cannot live with."""

from __future__ import annotations

from runbook.replication.slots import Slot
from tasks.logical_slots import hinders


def slot(**said: object) -> Slot:
    sound = {"type": "physical", "temporary": False, "active": True, "wal_status": "reserved"}
    return Slot.model_validate({"name": "s", "restart": None, "retained": 0, **sound, **said})


def test_a_slot_that_nobody_uses_would_keep_the_wal_of_the_load() -> None:
    assert hinders(slot(active=False), ("shop",))
    assert not hinders(slot(active=True), ("shop",))
    assert not hinders(slot(active=False, temporary=True), ("shop",))


def test_a_logical_slot_keeps_its_database() -> None:
    assert hinders(slot(type="logical", database="shop"), ("shop",))
    assert not hinders(slot(type="logical", database="other"), ("shop",))
