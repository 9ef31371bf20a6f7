"""monit starts, stops and holds PostgreSQL and repmgrd; each claim is proven by processes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from runbook.errors import CommandFailed
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.supervised import MonitProcess, Supervised
from runbook.tools import monit
from tests.lab import processes
from tests.lab.machine_monit import STARTUP_LOCKS, A9sPostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory

pytestmark = pytest.mark.lab

CYCLES = 3.0
"""Seconds: two of monit's cycles in the lab, and more."""


@pytest.fixture(scope="module")
def server(machines_lab: MachinesLab) -> A9sPostgres:
    (only,) = machines_lab.a9s_cluster("monit1")
    return only


@pytest.fixture
def node(server: A9sPostgres) -> Iterator[Node]:
    """Give the server with everything running, and put that back afterwards."""
    found = Node.model_validate(inventory.a9s(server))
    yield found
    server.machine.run(["systemctl", "start", "monit"])
    perform(found, found.service.start(found))
    server.settled()


@pytest.fixture
def repmgr(node: Node) -> Supervised:
    return Supervised(node.host, MonitProcess())


def perform(node: Node, commands: Iterable[Command]) -> None:
    for command in commands:
        node.host.run(command)


def is_held(node: Node) -> bool:
    held = node.service.held(node)
    assert held is not None
    return node.host.attempt(held).exit_code == 0


def test_a_stopped_server_has_ended_with_what_depends_on_it_and_stays_down(
    node: Node, server: A9sPostgres
) -> None:
    assert not is_held(node)
    perform(node, node.service.stopping(node))
    assert node.is_stopped()
    assert not server.repmgrd_runs()
    assert is_held(node)
    assert node.stays_stopped(CYCLES)
    server.monit("reload")
    assert node.stays_stopped(CYCLES)
    perform(node, node.service.stopping(node))
    assert is_held(node)


def test_a_started_server_answers_and_its_dependents_run_again(
    node: Node, server: A9sPostgres, repmgr: Supervised
) -> None:
    perform(node, node.service.stop(node))
    perform(node, (*node.service.release(node), *node.service.start(node)))
    assert node.accepts_writes()
    processes.until(repmgr.runs, "repmgrd runs, too")
    pid = node.server_pid()
    perform(node, node.service.start(node))
    assert node.server_pid() == pid


def test_a_restart_is_another_process(node: Node, repmgr: Supervised) -> None:
    before = node.server_pid()
    perform(node, [node.service.restart(node)])
    assert node.server_pid() != before
    assert node.accepts_writes()
    processes.until(repmgr.runs, "repmgrd runs again")


def test_an_order_waits_for_the_one_that_is_under_way(node: Node, server: A9sPostgres) -> None:
    server.monit("restart", server.unit)
    perform(node, node.service.stop(node))
    assert node.is_stopped()
    assert node.stays_stopped(CYCLES)


def test_what_monit_does_not_watch_it_does_not_stop_and_that_is_told(node: Node) -> None:
    perform(node, node.service.hold(node))
    (order,) = node.service.stop(node)
    assert "monit monitor postgresql-ha" in node.host.run(order).stderr
    assert not node.is_stopped()
    perform(node, (*node.service.release(node), order))
    assert node.is_stopped()


def test_of_orders_at_the_same_time_none_is_lost(node: Node) -> None:
    orders = node.service.stop(node) * 3
    threads = [threading.Thread(target=node.host.run, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert node.is_stopped()
    assert is_held(node)


def test_an_order_is_not_lost_while_monit_reloads(node: Node, server: A9sPostgres) -> None:
    server.monit("reload")
    perform(node, node.service.hold(node))
    assert is_held(node)


def test_a_held_server_that_dies_is_not_started_until_it_is_released(node: Node) -> None:
    perform(node, node.service.hold(node))
    kill = Command(("kill", "-9", node.server_pid()), user="root")
    node.host.run(kill)
    processes.until(node.is_stopped, "every process of it has gone")
    assert node.stays_stopped(CYCLES)
    perform(node, node.service.release(node))
    processes.until(node.accepts_writes, "monit has started it", within=60)
    node.host.run(Command(("kill", "-9", node.server_pid()), user="root"))
    processes.until(node.accepts_writes, "monit has started it again", within=60)


def test_a_stale_startup_lock_ends_the_start_with_what_monit_says(
    node: Node, server: A9sPostgres
) -> None:
    perform(node, node.service.stop(node))
    lock = f"{STARTUP_LOCKS}/postgresql-ha.pid"
    server.machine.run(["tee", lock], stdin="1\n")
    with pytest.raises(CommandFailed, match=r"again and again to start postgresql-ha"):
        node.host.run(monit.start("monit", server.unit, patience=1))
    assert node.is_stopped()
    server.machine.run(["rm", lock])
    perform(node, node.service.start(node))
    assert node.accepts_writes()


def test_without_its_daemon_monit_is_given_no_order(node: Node, server: A9sPostgres) -> None:
    pid = node.server_pid()
    server.machine.run(["systemctl", "stop", "monit"])
    with pytest.raises(CommandFailed, match="the monit daemon is not running"):
        perform(node, node.service.stop(node))
    assert node.server_pid() == pid
    assert not is_held(node)


def test_a_process_that_monit_does_not_have_is_told(node: Node) -> None:
    with pytest.raises(CommandFailed, match="no process of this name"):
        node.host.run(monit.stop("monit", "postgresql"))


def test_repmgr_stops_and_starts_beside_a_server_that_goes_on(
    node: Node, repmgr: Supervised, server: A9sPostgres
) -> None:
    pid = node.server_pid()
    assert repmgr.runs()
    for action in (*repmgr.stopping(), *repmgr.stopping()):
        action.perform()
    assert repmgr.is_stopped()
    assert not repmgr.runs()
    assert not server.repmgrd_runs()
    for action in (*repmgr.starting(), *repmgr.starting()):
        action.perform()
    processes.until(repmgr.runs, "repmgrd runs")
    assert not repmgr.is_stopped()
    assert node.server_pid() == pid


def test_a_script_that_only_waits_does_not_count_as_repmgr(
    repmgr: Supervised, server: A9sPostgres
) -> None:
    for action in repmgr.stopping():
        action.perform()
    server.psql("UPDATE repmgr.nodes SET active = false", database="repmgr_cluster")
    try:
        for action in repmgr.starting():
            action.perform()
        processes.until(lambda: server.status("repmgr") == "OK", "monit calls it running")
        assert not repmgr.runs()
        assert not repmgr.is_stopped()
    finally:
        server.psql("UPDATE repmgr.nodes SET active = true", database="repmgr_cluster")
    processes.until(repmgr.runs, "repmgrd runs", within=60)
