"""The laws of orchestrator-restore: a new Orchestrator with the backup, whatever ends a run."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.lab import orchestrator, processes
from tests.lab.loopback import LoopbackLab
from tests.laws.orchestrator_restore.judged import SAID, whole
from tests.laws.orchestrator_restore_scene import SCRIPTS, Moving
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


def test_a_dry_run_changes_nothing_and_shows_every_command(
    scene: Moving, loopback_lab: LoopbackLab, backups: dict[str, str]
) -> None:
    with loopback_lab.unchanged(scene.node, scene.before.node, scripts=SCRIPTS):
        outcome = scene.restore(dry_run=True, backup=backups["automated"])
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    for line in (
        *("restore --file", "--dry --release 2.4.0", "RENAME TO", "-cli ssh", "goes out of"),
        *(" stop`", " hold`", "pg_ctl stop", "still lives", "what the Orchestrator did since"),
        f"NEW ADDRESS:** orch-new does not have {scene.before.node.host.address}",
        "NOT THE NEWEST",
    ):
        assert line in page, line
    assert scene.before.node.is_running()


POINTS = {
    "automated": (
        *(Point("4", action=2), Point("5"), Point("7", action=2)),
        *(Point("8", action=2), Point("9", action=1)),
        *(Point("10", action=2), Point("11"), Point("12", action=2)),
    ),
    "manual": (Point("6", action=1), Point("6"), Point("8", action=2)),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", POINTS)
def test_killed_again_and_again_each_time_further_on_it_finishes_and_sets_nothing_aside_twice(
    scene: Moving, backups: dict[str, str], kind: str
) -> None:
    chosen = {"backup": backups[kind], "release": SAID[kind]}
    for point in POINTS[kind]:
        outcome = scene.restore(at=point, **chosen)
        assert outcome.ended == "killed", f"{point}: {outcome.said}"
        assert (scene.service / "up").exists() == (point.step == "4")
    outcome = scene.restore(**chosen)
    assert outcome.completed, outcome.said
    whole(scene, backups[kind])
    again = scene.restore(**{**chosen, "backup": "latest"})
    assert (again.completed, again.changed) == (True, 0), (again.said, again.commands)


def test_a_restore_that_ends_while_the_program_works_leaves_no_process(
    scene: Moving, backups: dict[str, str]
) -> None:
    loading = scene.home / "loading"
    wait = f"sh -c 'echo $$ >{loading}; exec sleep 3600'"
    scene.behaves(f'[ "$1" != restore ] || {wait}; "$real" "$@"')
    for number, ended in ((signal.SIGTERM, "_Terminated"), (signal.SIGKILL, "killed")):
        loading.unlink(missing_ok=True)
        running = scene.runner.start(
            "orchestrator-restore",
            cluster=scene.name,
            backup=backups["automated"],
            new_address=True,
        )
        processes.until(lambda: noted(loading) > 0, "it is loading", within=120)
        process = noted(loading)
        running.send(number)
        assert running.outcome().ended == ended
        scene.settled()
        processes.until(partial(is_gone, process), "what it began is gone")
    scene.orchestrator = {}
    again = scene.restore(backup=backups["automated"])
    assert again.completed, again.said
    whole(scene, backups["automated"])


def asked(outcome: Outcome) -> str:
    """Give what a person was asked in a run that has come to its end."""
    assert outcome.completed, outcome.said
    return "".join(str(entry["question"]) for entry in outcome.record if entry["event"] == "asked")


def noted(place: Path) -> int:
    """Give the id that a process has noted; 0 before it has."""
    return int((place.read_text() if place.exists() else "").strip() or 0)


def is_gone(process: int) -> bool:
    return not processes.alive(process)


def test_after_its_end_it_gives_back_no_older_configuration_and_after_a_reboot_it_refreshes_tmp(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["automated"]}
    scene.config.write_text("as delivered\n")
    processes.run(["chown", "postgres", scene.config])
    assert "goes out of service for good" in asked(scene.restore(**chosen))
    aside = scene.config.with_name(f"cluster.conf.before-{backups['automated']}")
    assert aside.read_text() == "as delivered\n"
    scene.config.write_text(f"{scene.config.read_text()}# edited since\n")
    scene.rebooted()
    again = scene.restore(**chosen)
    assert "is the Orchestrator already" in asked(again)
    assert scene.assets.read_text().strip() == orchestrator.RELEASE
    loading = ("restore --file", "CREATE DATABASE", "RENAME TO")
    assert not [line for line in again.commands if any(word in line for word in loading)]
    assert scene.config.read_text().endswith("# edited since\n")
    third = scene.restore(**chosen)
    assert (third.completed, third.changed) == (True, 0), third.commands
    for old, new in (("", "_undone"), (f"_before_{backups['automated']}", "")):
        scene.node.psql(f"ALTER DATABASE orchestrator{old} RENAME TO orchestrator{new}")
    assert scene.node.psql("SELECT count(*) FROM as_delivered", database="orchestrator") == "0"


def test_a_person_who_says_no_changes_nothing(scene: Moving, backups: dict[str, str]) -> None:
    outcome = scene.restore(backup=backups["automated"], answer="refuse")
    assert outcome.ended == "RefusedByPerson"
    assert outcome.commands == []
    assert scene.before.node.is_running()
