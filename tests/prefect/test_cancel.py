"""A run that a person cancels in the UI, while its command is at work."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Cancelling

from deployments.orders import follow, order, standing
from runbook.audit import read_trail
from runbook.lock import holder_of
from tests.prefect.conftest import world_of
from tests.prefect.room import Room, until


def test_a_cancelled_run_ends_its_command_and_goes_its_way_back(
    room: Room, client: SyncPrefectClient, deployed: str
) -> None:
    used = str(room.state / "world" / deployed / "used")
    run = order("lend", deployed, {"dry_run": False})
    until(lambda: bool(_commands_with(used)), 120, lambda: str(standing(run)))
    answer = client.set_flow_run_state(run, Cancelling())
    assert answer.status.value == "ACCEPT"
    end = follow(run, lambda _: None, timeout=180)
    assert end.state == "Cancelled", end
    until(lambda: holder_of(room.state / "locks", deployed) == "", 180)
    assert _commands_with(used) == []
    assert world_of(room, deployed) == {"taken", "brought back"}
    last = read_trail(room.state / "audit" / f"{run}.jsonl")[-1]
    assert (last["event"], last["outcome"]) == ("end", "TerminationSignal")


def _commands_with(word: str) -> list[str]:
    """Give the command lines that a word stands in."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return [line for line in found if word in line]
