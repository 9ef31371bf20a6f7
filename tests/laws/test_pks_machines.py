"""standby-setup and traffic on machines with Docker: databases and proxies in containers."""

from __future__ import annotations

import signal

import pytest

from tests.lab import processes
from tests.lab.machines import MachinesLab
from tests.laws import pks_scene
from tests.laws.outcome import Point
from tests.laws.pks_scene import DATA, Scene

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

_STREAMS = (
    "SELECT usename, application_name, state FROM pg_stat_replication "
    "JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = 'standby_pksb'"
)

_NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())"


@pytest.fixture(scope="module")
def scene(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return pks_scene.build(machines_lab, tmp_path_factory.mktemp("pks"))


def test_a_standby_in_a_container_is_set_up_whatever_kills_the_worker(scene: Scene) -> None:
    first, second = scene.first, scene.second
    before = (first.listing(), second.listing(), first.psql(_NEXT), second.psql(_NEXT))
    planned = scene.set_up(dry_run=True)
    assert planned.completed, planned.said
    assert planned.plan is not None
    shown = planned.plan.markdown()
    assert "RESTART" in shown
    assert "docker exec -u postgres pks-db pg_ctl stop" in shown
    assert "docker update --restart=no pks-db" in shown
    assert "docker run --rm -i -u postgres -v /srv/pks/repl:/srv/pks/repl" in shown
    assert f"mv {DATA} {DATA}.aside-" in shown
    assert before == (first.listing(), second.listing(), first.psql(_NEXT), second.psql(_NEXT))

    for point in (Point("3"), Point("4")):
        killed = scene.set_up(at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
    scene.max_rate = "2M"
    for point in (Point("7", transfer=True), Point("7", transfer=True, signal=signal.SIGTERM)):
        stopped = scene.set_up(at=point)
        assert stopped.ended in ("killed", "_Terminated"), f"{point}: {stopped.said}"
        processes.until(lambda: is_alone(scene), "nothing copies any more", within=60)
    scene.max_rate = ""
    for point in (Point("7", 3), Point("7"), Point("8")):
        killed = scene.set_up(at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
    assert second.inspect("pks-db") == (False, "no")
    second.machine.run(["systemctl", "restart", "docker"])
    assert second.inspect("pks-db") == (False, "no")
    for point in (Point("9", 2), Point("9"), Point("10"), Point("12")):
        killed = scene.set_up(at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
        assert not [line for line in killed.commands if "pg_basebackup" in line]
    outcome = scene.set_up()
    assert outcome.completed, outcome.said
    assert outcome.changed == 0
    assert_follows(scene)


def is_alone(scene: Scene) -> bool:
    """Tell whether no container of a run is left, and no walsender of its copy."""
    left = scene.second.docker("ps", "-aq").stdout.split()
    sent = scene.first.psql("SELECT count(*) FROM pg_stat_replication")
    return len(left) == 2 and sent == "0"


def assert_follows(scene: Scene) -> None:
    """Judge from outside."""
    first, second = scene.first, scene.second
    assert first.psql(_STREAMS) == "repuser|pksb|streaming"
    first.psql("INSERT INTO subscribers VALUES (1000)")
    count = "SELECT count(*) FROM subscribers"
    wanted = first.psql(count)
    processes.until(lambda: second.psql(count) == wanted, "the row is there", within=60)
    assert "read-only" in second.psql("CREATE TABLE refused ()", check=False)
    assert second.inspect("pks-db") == (True, "always")
    names = second.machine.run(["ls", "/srv/pks"]).stdout.split()
    assert [name for name in names if name.startswith("db.aside-")]
    assert not [name for name in names if name.startswith("repl")]
    secret = f"{DATA}/pgsql_tmp_replication.pass"
    owner = second.machine.run(["stat", "-c", "%U %a", secret]).stdout.strip()
    assert owner == "postgres 600"
    rules = first.machine.run(["grep", "repuser", f"{DATA}/pg_hba.conf"]).stdout
    assert rules.split()[3].endswith("/32")
    assert rules.split()[4] == "scram-sha-256"


def test_it_follows_again_after_both_machines_containers_were_restarted(scene: Scene) -> None:
    if not scene.set_up().completed:
        pytest.fail("there is no standby to begin with")
    scene.first.docker("restart", "pks-db")
    scene.second.docker("restart", "pks-db")
    processes.until(
        lambda: scene.first.psql(_STREAMS, check=False) == "repuser|pksb|streaming",
        "it streams again",
        within=60,
    )
    assert scene.set_up().changed == 0


def test_the_proxy_is_switched_off_and_stays_off_until_traffic_is_given_back(scene: Scene) -> None:
    forced = scene.run("traffic", app="sip", to="pksa")
    assert forced.completed, forced.said
    assert scene.first.inspect("pks-sip") == (True, "always")
    assert scene.second.inspect("pks-sip") == (False, "no")
    scene.second.machine.run(["systemctl", "restart", "docker"])
    assert scene.second.inspect("pks-sip") == (False, "no")
    assert scene.run("traffic", app="sip", to="pksa").changed == 0

    back = scene.run("traffic", app="sip", to="all")
    assert back.completed, back.said
    assert scene.second.inspect("pks-sip") == (True, "always")
    scene.second.machine.run(["rm", "/srv/pks/www/health"])
    refused = scene.run("traffic", app="sip", to="pksb")
    assert refused.ended == "CheckFailed"
    assert refused.commands == []
    assert scene.first.inspect("pks-sip") == (True, "always")
