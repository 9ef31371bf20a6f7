"""The machines lab does what it says: systemd, sshd, repmgr, a firewall, Docker and compose."""

from __future__ import annotations

import psycopg
import pytest

from runbook.hosts import Host
from runbook.orchestrator.former import HeldUnit
from tests.lab import podman, processes
from tests.lab.application import Application
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.machines import MachinesLab
from tests.lab.writer import Writer
from tests.laws import inventory

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster(machines_lab: MachinesLab) -> tuple[MachinePostgres, ...]:
    return machines_lab.repmgr_cluster("labs1", "labs2")


@pytest.fixture(scope="module")
def primary(cluster: tuple[MachinePostgres, ...]) -> MachinePostgres:
    return cluster[0]


@pytest.fixture(scope="module")
def application(machines_lab: MachinesLab, primary: MachinePostgres) -> Application:
    return machines_lab.application("labs3", primary)


def test_a_machine_boots_and_lets_root_and_postgres_in(primary: MachinePostgres) -> None:
    machine = primary.machine
    assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert machine.run(["hostname"]).stdout == "labs1\n"
    assert machine.run(["id", "-un"], user="postgres").stdout == "postgres\n"


def test_repmgr_shows_a_primary_and_its_standby(cluster: tuple[MachinePostgres, ...]) -> None:
    assert cluster[1].repmgr("cluster", "show", "--csv").stdout == "1,0,0\n2,0,1\n"


def test_postgres_logs_in_from_machine_to_machine(cluster: tuple[MachinePostgres, ...]) -> None:
    first, second = cluster
    there = ["ssh", "-o", "BatchMode=yes", second.machine.address, "hostname"]
    assert first.machine.run(there, user="postgres").stdout == "labs2\n"


def test_systemd_stops_and_starts_postgresql(cluster: tuple[MachinePostgres, ...]) -> None:
    standby = cluster[1]
    standby.stop()
    assert not standby.is_running()
    standby.start()
    assert standby.psql("SELECT pg_is_in_recovery()") == "t"


def test_systemd_shows_where_the_data_directory_is(primary: MachinePostgres) -> None:
    assert primary.psql("SHOW data_directory") == str(primary.data_directory)
    count = "SELECT count(*) FROM pg_stat_replication"
    processes.until(lambda: primary.psql(count) == "1", "the standby has come back to it")


def test_a_firewall_rule_fences_a_machine(primary: MachinePostgres) -> None:
    script = "add table inet fence; add chain inet fence input { type filter hook input priority 0;"
    rules = f"{script} }}; add rule inet fence input tcp dport 5432 reject with tcp reset"
    primary.machine.run(["nft", rules])
    try:
        with pytest.raises(psycopg.OperationalError, match=r"refused|timeout"):
            psycopg.connect(primary.conninfo())
    finally:
        primary.machine.run(["nft", "delete", "table", "inet", "fence"])
    psycopg.connect(primary.conninfo()).close()


def test_iptables_works_too(primary: MachinePostgres) -> None:
    rule = ["INPUT", "-p", "tcp", "--dport", "5499", "-j", "DROP"]
    primary.machine.run(["iptables", "-A", *rule])
    primary.machine.run(["iptables", "-D", *rule])


def test_compose_stops_and_starts_the_application(application: Application) -> None:
    processes.until(lambda: application.visits() > 3, "the application writes")
    application.compose("stop")
    assert not application.is_running()
    before = application.visits()
    application.compose("start")
    processes.until(lambda: application.visits() > before, "the application writes again")


def test_docker_revives_the_application_unless_it_is_held(application: Application) -> None:
    def pid() -> str:
        told = application.docker("inspect", "-f", "{{.State.Pid}}", application.container)
        return told.stdout.strip()

    first = pid()
    application.machine.run(["kill", "-9", first])
    processes.until(lambda: pid() not in (first, "0"), "Docker has started the container again")
    application.docker("update", "--restart=no", application.container)
    application.machine.run(["kill", "-9", pid()])
    processes.until(lambda: not application.is_running(), "the container is gone for good")
    application.machine.run(["systemctl", "restart", "docker"])
    assert not application.is_running()
    application.docker("update", "--restart=always", application.container)
    application.compose("start")
    assert application.is_running()


def test_postgresql_runs_in_a_container_on_a_bind_mount(application: Application) -> None:
    machine = application.machine
    machine.run(["install", "-d", "-o", "postgres", "-m", "700", "/srv/db"])
    run = ["run", "--rm", "--user", "postgres", "-v", "/srv/db:/var/lib/postgresql/data"]
    data = ["-D", "/var/lib/postgresql/data"]
    application.docker(*run, "lab/shop", "initdb", "--no-sync", *data)
    application.docker(*run, "--detach", "--name", "pg", "lab/shop", "postgres", *data)
    try:
        ask = ["exec", "--user", "postgres", "pg", "psql", "-Atc", "SELECT 40 + 2"]
        processes.until(
            lambda: application.docker(*ask, check=False).stdout == "42\n", "it answers"
        )
    finally:
        application.docker("rm", "--force", "pg")


def test_monit_watches_and_is_asked(primary: MachinePostgres) -> None:
    machine = primary.machine
    text = "set httpd unixsocket /run/monit.sock allow localhost\ncheck system labs1\n"
    machine.run(["tee", "/etc/monit/conf.d/lab"], stdin=text)
    machine.run(["systemctl", "start", "monit"])
    try:
        processes.until(
            lambda: "labs1" in machine.run(["monit", "-B", "summary"], check=False).stdout,
            "monit answers",
        )
    finally:
        machine.run(["systemctl", "stop", "monit"])


@pytest.mark.parametrize("folder", ["/usr/lib/systemd/system", "/etc/systemd/system"])
def test_a_unit_of_an_old_orchestrator_is_held_whoever_wrote_it(
    primary: MachinePostgres, folder: str
) -> None:
    unit = HeldUnit(unit="chef-server.service")
    host = Host.model_validate(inventory.host(primary.machine))
    text = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
    path = f"{folder}/{unit}"
    try:
        primary.machine.run(["sh", "-c", 'printf "$1" >"$2"', "write", text, path])
        primary.machine.run(["systemctl", "daemon-reload"])
        primary.machine.run(["systemctl", "enable", "--now", unit.unit])
        assert host.attempt(unit.is_out()).exit_code == 1
        for command in unit.taking_out():
            host.run(command)
        assert host.attempt(unit.is_out()).exit_code == 0
        assert not primary.machine.run(["pgrep", "-f", "[s]leep 1000"], check=False).stdout
    finally:
        primary.machine.run(["systemctl", "unmask", unit.unit])
        primary.machine.run(["rm", "-f", path])
        primary.machine.run(["systemctl", "daemon-reload"])
        host.way.close()


def test_a_frozen_machine_is_silent_and_a_cut_off_one_lives(
    cluster: tuple[MachinePostgres, ...],
) -> None:
    machine = cluster[1].machine
    with machine.frozen():
        assert machine.run(["true"], check=False).returncode == 255
    with machine.cut_off():
        assert machine.run(["true"], check=False).returncode == 255
        assert podman.podman("exec", machine.container, "true").returncode == 0
    assert machine.run(["hostname", "-I"]).stdout.split() == [machine.address]


def test_a_machine_whose_plug_is_pulled_comes_back(cluster: tuple[MachinePostgres, ...]) -> None:
    standby = cluster[1]
    with standby.machine.off():
        assert not standby.machine.is_running()
    processes.until(standby.is_running, "PostgreSQL has started with the machine")
    assert standby.psql("SELECT pg_is_in_recovery()") == "t"


def test_a_writer_sees_a_switchover(cluster: tuple[MachinePostgres, ...]) -> None:
    first, second = cluster
    both = first.conninfo().replace("host=", f"host={second.machine.address},")
    with Writer(f"{both} target_session_attrs=read-write") as writer:
        second.repmgr("standby", "switchover")
        writer.wait_for_rows(3)
        report = writer.stop()
    assert 0 < report.outage < 60
    assert second.repmgr("cluster", "show", "--csv").stdout == "1,0,1\n2,0,0\n"
    assert second.psql("SELECT count(*) FROM writer_rows") == str(report.acknowledged)


def test_a_lab_leaves_nothing_in_podman() -> None:
    with MachinesLab() as lab:
        machine = lab.machine("one", engine=True)
        assert podman.lines("container", "ls", "--filter", f"name={machine.container}")
    for kind in ("container", "volume", "network"):
        listed = podman.lines(kind, "ls", *(["--all"] if kind == "container" else []))
        assert not [line for line in listed if lab.network in line]
    assert processes.members(lab.name, lab.directory) == []
