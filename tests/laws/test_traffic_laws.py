"""The laws of DESIGN section 4 for traffic: proxies on two hosts, each a process with a port."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.sshd import Host
from tests.laws import standby_scene
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

_PROXY = """#!/bin/sh
# A proxy: start, stop, status of an HTTP server on this host's address.
cd "$(dirname "$0")"
alive() { kill -0 "$(cat pid 2>/dev/null)" 2>/dev/null; }
case $1 in
start) alive && exit 0
  setsid python3 -m http.server --bind "$2" "$3" --directory served >log 2>&1 </dev/null &
  echo $! >pid;;
stop) alive && kill "$(cat pid)"; while alive; do sleep 0.05; done; exit 0;;
status) alive;;
esac
"""


@dataclass
class Proxies:
    """Two hosts with a proxy each, and a database that nobody asks."""

    lab: LoopbackLab
    hosts: tuple[Host, Host]
    base: Path
    inventory: dict[str, Any]
    port: int

    @property
    def runner(self) -> Runner:
        path = self.base / "inventory.yaml"
        with path.open("w") as file:
            YAML().dump(self.inventory, file)
        return Runner(path, self.base / "state")

    def run(self, to: str, **arguments: Any) -> Outcome:
        wanted = {"cluster": next(iter(self.inventory["clusters"])), "app": "sip", "to": to}
        return self.runner.run("traffic", **{**wanted, **arguments})

    def call(self, number: int, verb: str) -> bool:
        host = self.hosts[number]
        script = [str(self.script(number)), verb, host.address, str(self.port)]
        return processes.run(script, mark=self.lab.name, check=False).returncode == 0

    def script(self, number: int) -> Path:
        return self.hosts[number].directory / "proxy" / "proxy.sh"

    def running(self) -> list[str]:
        return [host.name for i, host in enumerate(self.hosts) if self.call(i, "status")]

    def serve(self, number: int, text: str) -> None:
        (self.script(number).parent / "served" / "health").write_text(text)


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Proxies:
    pair = standby_scene.build(loopback_lab, "sipa", "sipb", tmp_path_factory.mktemp("sip"))
    hosts = (pair.primary.host, pair.standby.host)
    with socket.socket() as probe:
        probe.bind((hosts[0].address, 0))
        port = int(probe.getsockname()[1])
    inventory = pair._inventory()
    (cluster,) = inventory["clusters"].values()
    cluster["apps"], cluster["health"] = [], []
    for host, node in zip(hosts, cluster["nodes"], strict=True):
        folder = host.directory / "proxy"
        (folder / "served").mkdir(parents=True)
        (folder / "proxy.sh").write_text(_PROXY)
        (folder / "proxy.sh").chmod(0o755)
        processes.run(["chown", "-R", "postgres", folder])
        way = {**node["host"]["way"], "user": "root"}
        words = [host.address, str(port)]
        cluster["apps"].append(
            {
                "name": "sip",
                "host": {"name": host.name, "way": way},
                "health": [f"sip of {host.name}"],
                "managed_by": {
                    "kind": "commands",
                    "start_command": [str(folder / "proxy.sh"), "start", *words],
                    "stop_command": [str(folder / "proxy.sh"), "stop"],
                    "running_command": [str(folder / "proxy.sh"), "status"],
                },
            }
        )
        url = f"http://{host.address}:{port}/health"
        check = {"name": f"sip of {host.name}", "url": url, "contains": "ok", "within": 10}
        cluster["health"].append(check)
    return Proxies(loopback_lab, hosts, pair.base, inventory, port)


@pytest.fixture
def proxies(scene: Proxies) -> Iterator[Proxies]:
    """Both proxies run and answer."""
    for number in (0, 1):
        scene.serve(number, "ok")
        scene.call(number, "start")
    yield scene
    for number in (0, 1):
        scene.call(number, "stop")


def test_a_dry_run_switches_nothing_off_and_says_what_it_would(proxies: Proxies) -> None:
    outcome = proxies.run("sipa", dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert proxies.running() == ["sipa", "sipb"]
    assert f"{proxies.script(1)} stop" in outcome.plan.markdown()
    assert f"{proxies.script(0)} stop" not in outcome.plan.markdown()


def test_traffic_is_forced_and_moved_and_given_back(proxies: Proxies) -> None:
    forced = proxies.run("sipa")
    assert forced.completed, forced.said
    assert proxies.running() == ["sipa"]
    assert proxies.run("sipa").changed == 0
    moved = proxies.run("sipb")
    assert moved.completed, moved.said
    assert proxies.running() == ["sipb"]
    began = [line for line in moved.commands if "proxy.sh" in line]
    assert [line.split()[1] for line in began] == ["start", "stop"]
    back = proxies.run("all")
    assert back.completed, back.said
    assert proxies.running() == ["sipa", "sipb"]
    assert proxies.run("all").changed == 0


def test_the_last_one_that_works_is_never_switched_off(proxies: Proxies) -> None:
    proxies.serve(0, "no route to any trunk")
    refused = proxies.run("sipa")
    assert refused.ended == "CheckFailed"
    assert "does not contain" in refused.said
    assert refused.commands == []
    assert proxies.running() == ["sipa", "sipb"]

    proxies.serve(0, "ok")
    assert proxies.run("sipb").completed
    proxies.serve(0, "no route to any trunk")
    refused = proxies.run("sipa")
    assert refused.ended == "CheckFailed"
    assert "somewhere to go" in refused.said
    assert proxies.running() == ["sipa", "sipb"]


def test_bad_names_are_refused_and_a_refusal_changes_nothing(proxies: Proxies) -> None:
    assert "no application 'smtp'" in proxies.run("sipa", app="smtp").said
    assert "does not run on 'sipc'" in proxies.run("sipc").said
    assert proxies.run("sipa", answer="refuse").ended == "RefusedByPerson"
    assert proxies.running() == ["sipa", "sipb"]


def test_killed_and_cancelled_it_goes_on_and_one_always_runs(proxies: Proxies) -> None:
    assert proxies.run("sipb").completed
    points = [*(Point(str(n)) for n in range(1, 6)), Point("4", 1, signal=signal.SIGTERM)]
    for to, point in zip(["sipa", "sipb"] * 3, points, strict=True):
        stopped = proxies.run(to, at=point)
        assert stopped.ended in ("killed", "_Terminated"), f"{point}: {stopped.said}"
        assert proxies.running(), f"nothing runs after {point}"
    outcome = proxies.run("sipa")
    assert outcome.completed, outcome.said
    assert proxies.running() == ["sipa"]
