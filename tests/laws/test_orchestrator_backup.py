"""The laws of orchestrator-backup: a whole verified archive in the store, and nothing else."""

from __future__ import annotations

import hashlib
import signal
import stat
from collections.abc import Iterator

import pytest

from tests.lab import orchestrator
from tests.lab.loopback import LoopbackLab
from tests.laws import orchestrator_scene
from tests.laws.orchestrator_scene import SECRET, Scene
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

WAYS = ("automated", "manual")


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the Orchestrator once."""
    return orchestrator_scene.build(loopback_lab, "orch")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the Orchestrator with default settings and no backups; no run shows a secret."""
    built.empty()
    yield built
    told = (built.base / "told").read_text(errors="replace")
    assert SECRET not in told
    assert built.config.read_text().count(SECRET) == 2


def refused(scene: Scene, said: str, **arguments: str) -> Outcome:
    """Insist that plan and run are refused alike and that nothing was written."""
    before = scene.files()
    assert said in scene.run(dry_run=True, **arguments).said
    outcome = scene.run(**arguments)
    assert not outcome.completed
    assert said in outcome.said
    assert outcome.commands == []
    assert scene.files() == before
    return outcome


def failed(scene: Scene, said: str, ended: str = "Damaged") -> None:
    """Insist that a run fails and leaves nothing, neither in the store nor on the host."""
    outcome = scene.run()
    assert outcome.ended == ended, outcome.said
    assert said in outcome.said
    assert scene.files() == []
    assert list(scene.work.glob("*")) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_dry_run_changes_nothing_and_shows_every_command(
    scene: Scene, loopback_lab: LoopbackLab, way: str
) -> None:
    with loopback_lab.unchanged(scene.node, scripts=orchestrator_scene.SCRIPTS):
        outcome = scene.run(dry_run=True, way=way)
    assert outcome.completed, outcome.said
    assert scene.files() == []
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    if way == "automated":
        assert f"{scene.programs['p']} backup --config {scene.config}" in page
    else:
        assert "-U orchestrator" in page
        assert "orchestrator -f orchestrator.sql" in page
        assert f"cp -- {scene.config} cluster.conf" in page
    assert "SHA-256, then write orchestrator.json" in page
    assert "rm -rf -- " in page
    assert f"{scene.work} is emptied when orch reboots" in page


@pytest.mark.parametrize("way", ["automated", "manual", "custom"])
def test_an_archive_restores_with_the_tools_of_the_page(scene: Scene, way: str) -> None:
    if way == "custom":
        scene.orchestrator = {"program": str(scene.programs["c"])}
    made = scene.back_up(way="manual" if way == "manual" else "automated")
    record, archive = scene.record(made), scene.archive(made)
    prefix = "orchestrator_manual_" if way == "manual" else "orchestrator_backup_"
    assert archive.name == record["archive"]
    assert archive.name.startswith(prefix)
    assert record["release"] == ("" if way == "manual" else orchestrator.RELEASE)
    assert (record["tables"], record["configuration"]) == (2, "cluster.conf")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == record["sha256"]
    for path in (archive, archive.with_name("orchestrator.json")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert SECRET not in archive.with_name("orchestrator.json").read_text()
    orchestrator_scene.restored_by_hand(scene, made, "by_hand")
    try:
        assert orchestrator.fingerprint(scene.node, database="by_hand") == orchestrator.fingerprint(
            scene.node
        )
    finally:
        scene.node.psql("DROP DATABASE by_hand")
    kept = scene.base / "unpacked" / "cluster.conf"
    assert kept.read_bytes() == scene.config.read_bytes()
    assert scene.unfinished() == []
    assert list(scene.work.glob("*")) == []


def test_nobody_else_can_read_the_archive_while_it_lies_on_the_orchestrator(scene: Scene) -> None:
    scene.behaves(f'"$real" "$@"; stat -c %a . orchestrator_backup_*.tgz >{scene.home}/modes')
    scene.back_up()
    assert (scene.home / "modes").read_text().split() == ["700", "600"]


def test_the_same_run_again_changes_nothing(scene: Scene) -> None:
    made = scene.back_up()
    before = scene.files()
    again = scene.run(run_id=scene.record(made)["run_id"])
    assert (again.completed, again.changed) == (True, 0)
    assert scene.files() == before


POINTS = [
    *(Point(step) for step in ("1", "3", "4", "5", "6")),
    *(Point("5", action=number) for number in (1, 2)),
    Point("5", transfer=True),
]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_clears_up(
    scene: Scene, point: Point
) -> None:
    run_id = "abcdefabcdefabcdefabcdefabcdefab"
    assert scene.run(at=point, run_id=run_id).ended == "killed"
    scene.settled()
    kept = scene.ids()
    assert bool(kept) == (point in {Point("5"), Point("6"), Point("5", action=2)})
    assert kept == [made for made in kept if scene.record(made)["size"]]
    again = scene.run(run_id=run_id)
    assert again.completed, again.said
    assert len(scene.ids()) == 1
    assert scene.ids()[: len(kept)] == kept
    assert scene.unfinished() == []
    assert list(scene.work.glob("*")) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_run_that_ends_while_a_dump_waits_leaves_no_process(
    scene: Scene, number: signal.Signals, way: str
) -> None:
    with scene.locked():
        running = scene.runner.start("orchestrator-backup", cluster=scene.name, way=way)
        scene.until_dumping()
        running.send(number)
        ended = running.outcome(60).ended
        assert ended == ("killed" if number is signal.SIGKILL else "_Terminated")
        scene.settled()
    assert scene.ids() == []
    if number is signal.SIGTERM:
        assert scene.files() == []
        assert list(scene.work.glob("*")) == []


def test_a_run_that_is_cancelled_in_the_copy_leaves_nothing(scene: Scene) -> None:
    ended = scene.run(at=Point("5", transfer=True, signal=signal.SIGTERM)).ended
    assert ended == "_Terminated"
    scene.settled()
    assert list(scene.work.glob("*")) == []
    assert scene.files() == []


def test_a_database_that_somebody_keeps_locked_ends_the_run_in_time(scene: Scene) -> None:
    scene.orchestrator = {"limit_seconds": 1}
    with scene.locked():
        outcome = scene.run()
        assert outcome.ended == "GoalNotReached", outcome.said
        assert "Does somebody hold a lock" in outcome.said
        scene.settled()
    assert scene.files() == []


def test_what_the_program_says_is_shown_without_the_secrets_of_the_configuration(
    scene: Scene,
) -> None:
    scene.config.write_text(f"#\n{scene.config.read_text()}")
    outcome = scene.run()
    assert outcome.ended == "CommandFailed"
    assert "cannot parse" in outcome.said
    assert '"secret_key": "***"' in outcome.said
    assert "lab-backups" in outcome.said
    assert scene.files() == []


ANY = "orchestrator_backup_*.tgz"
FAULTS = {
    "nothing": ('echo "Backup written"', "has no archive"),
    "empty": (": >orchestrator_backup_1.tgz", "orchestrator_backup_1.tgz of 0 bytes"),
    "two": (f'"$real" "$@"; cp {ANY} orchestrator_backup_2.tgz', "orchestrator_backup_2.tgz"),
    "cut": (f'"$real" "$@"; truncate -s -100 {ANY}', "is not whole"),
    "no-gzip": ("echo hello >orchestrator_backup_1.tgz", "is not whole"),
    "flipped": (
        f'"$real" "$@"; printf X | dd of="$(echo {ANY})" bs=1 seek=3000 conv=notrunc',
        "is not whole",
    ),
}
# What is inside is unpacked, changed, and packed again.
INSIDE = f'set -e; "$real" "$@"; tar xzf {ANY}; %s; tar czf "$(echo {ANY})" %s; rm %s'
ALL = "release orchestrator.dump cluster.conf"
FAULTS |= {
    "cut-dump": (
        INSIDE % ("truncate -s -2000 orchestrator.dump", ALL, ALL),
        "the dump orchestrator.dump has no end",
    ),
    "no-dump": (INSIDE % (":", "release cluster.conf", ALL), "holds no dump"),
    "no-configuration": (INSIDE % (":", "release orchestrator.dump", ALL), "no cluster.conf"),
    "another-database": (
        INSIDE % ("sed -i '/^CREATE TABLE/d' orchestrator.dump", ALL, ALL),
        "makes no table; the database has 2",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_archive_that_is_not_whole_is_refused_though_the_program_says_success(
    scene: Scene, fault: str
) -> None:
    script, said = FAULTS[fault]
    scene.behaves(script)
    failed(scene, said)


def test_a_custom_dump_that_is_cut_inside_the_archive_is_refused(scene: Scene) -> None:
    script = INSIDE % ("truncate -s -2000 orchestrator.dump", ALL, ALL)
    scene.behaves(f"real={scene.programs['c']}\n{script}")
    failed(scene, "pg_restore cannot read orchestrator.dump")


def test_a_program_that_fails_or_is_too_old_is_told(scene: Scene) -> None:
    scene.behaves('"$real" "$@"; exit 3')
    failed(scene, "ended with exit code 3", "CommandFailed")
    scene.behaves('"$real" save "$@"')
    failed(scene, "Orchestrator 0.5.3; older ones: way manual", "CommandFailed")


def test_a_full_disk_is_told_before_and_while_it_fills(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    scene.work.mkdir()
    orchestrator_scene.give_to_postgres(scene.work)
    with loopback_lab.trouble.full_disk(scene.work, size=1 << 20):
        refused(scene, "has room for the archive")
    scene.back_up()
    kept = scene.files()
    scene.behaves('"$real" "$@" && cat orchestrator_backup_*.tgz /dev/zero >big')
    room = 3 * int(scene.node.psql("SELECT pg_database_size('orchestrator')"))
    with loopback_lab.trouble.full_disk(scene.work, size=room, free=room):
        outcome = scene.run()
    assert outcome.ended == "CommandFailed", outcome.said
    assert "No space left on device" in outcome.said
    assert [name for name in scene.files() if "ballast" not in name] == kept


def test_a_store_without_room_is_told_before_the_first_command(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    with loopback_lab.trouble.full_disk(scene.base / "store", size=1 << 20):
        refused(scene, "has room for the archive")


def test_what_a_backup_needs_is_asked_for_before_the_first_command(scene: Scene) -> None:
    missing = {
        "program": ("/nowhere/orchestrator-cli", "postgres finds /nowhere/orchestrator-cli"),
        "config": ("/nowhere/cluster.conf", "can read /nowhere/cluster.conf"),
        "database": ("another", "database another is on orch"),
        "directory": ("/proc/archives", "can write to /proc/archives"),
        "store": ("node", "it lies on the node"),
    }
    for setting, (value, said) in missing.items():
        scene.orchestrator = {setting: value}
        refused(scene, said)
    scene.orchestrator = {"directory": f"{scene.node.data_directory}/archives"}
    refused(scene, "outside the data directory")
    for wrong in ({"directory": "archives"}, {"store": "unknown"}, {"database": "a=b"}):
        scene.orchestrator = wrong
        assert scene.run().ended == "SettingsError"
