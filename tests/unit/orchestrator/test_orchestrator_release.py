"""Releases, former Orchestrators and marks: what decides whether a restore may go on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runbook.cluster import Backups, Cluster
from runbook.hosts import Host, Local
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.former import FormerOrchestrator, HeldUnit
from runbook.orchestrator.mark import Mark
from runbook.orchestrator.places import Live
from runbook.orchestrator.release import is_release, is_restorable, numbers
from runbook.orchestrator.settings import Orchestrator
from runbook.orchestrator.target import Target
from runbook.postgres import Node
from runbook.postgres.state import Identity
from runbook.tools import orchestrator_cli

OLD = {
    "name": "old",
    "host": Host(name="old", way=Local()),
    "address": "10.0.0.5",
    "data_directory": "/data",
    "bin_directory": "/bin",
}


@pytest.mark.parametrize("release", ["2.4.0", "2.4", "2.4.1", "2.10", "3.0", "10.0", "2.4.0.1"])
def test_releases_from_2_4_0_on_can_be_restored(release: str) -> None:
    assert is_restorable(release)
    assert is_release(release)


@pytest.mark.parametrize("release", ["2.3.9", "2.3", "1.9.9", "0.5.3", "", "latest", "2", "v2.4.0"])
def test_older_and_unknown_ones_cannot(release: str) -> None:
    assert not is_restorable(release)


@pytest.mark.parametrize("text", ["", "2", "--help", "2.4.0 --apply", "latest", "2.4.0\n"])
def test_what_is_no_release_is_given_to_no_program(text: str) -> None:
    assert not is_release(text)


def test_a_release_is_compared_by_its_numbers() -> None:
    assert numbers(" 2.10.3-beta ") == (2, 10, 3)
    assert numbers("2.9") < numbers("2.10")
    assert numbers("release") == ()


def test_the_command_of_a_dry_deploy_is_that_of_the_page() -> None:
    plain = orchestrator_cli.deploy_dry("cli", config="cluster.conf", user="u")
    refreshing = orchestrator_cli.deploy_dry("cli", config="cluster.conf", user="u", release="2.4")
    assert plain.argv == ("cli", "deploy", "--dry", "-c", "cluster.conf")
    assert refreshing.argv == ("cli", "deploy", "-c", "cluster.conf", "--dry", "--release", "2.4")


def test_a_former_orchestrator_has_an_address_and_its_directories() -> None:
    assert FormerOrchestrator.model_validate(OLD).address == "10.0.0.5"
    for missing in ("address", "data_directory", "bin_directory"):
        with pytest.raises(ValidationError):
            FormerOrchestrator.model_validate({k: v for k, v in OLD.items() if k != missing})
    with pytest.raises(ValidationError):
        FormerOrchestrator.model_validate({**OLD, "address": "orchestrator.example"})


def test_a_unit_is_stopped_before_it_is_masked() -> None:
    lines = [str(command) for command in HeldUnit(unit="chef").taking_out()]
    assert lines == ["systemctl stop chef", "systemctl mask chef || systemctl disable chef"]


@pytest.mark.parametrize(("state", "boot"), [("done", "0c7d-1"), ("loaded", ""), ("whole", "")])
def test_a_mark_says_what_it_was_written_with(state: str, boot: str) -> None:
    values = {"backup": "20260101000000", "sha256": "a" * 64, "state": state, "boot": boot}
    made = Mark.model_validate(values)
    assert Mark.parsed(str(made)) == made
    for wrong in ("", "20260101000000", str(made).replace(state, "over"), f"{made}:more"):
        assert Mark.parsed(wrong) is None


def target(name: str) -> Target:
    node = Node(name="new", host=Host(name="new", way=Local()))
    settings = Orchestrator(store="store", database=name)
    cluster = Cluster(name="c", nodes=(node,), backups=Backups(store="s"), orchestrator=settings)
    live = Live(cluster, settings, node, Identity.model_construct(), {})
    return Target(live, OrchestratorBackup.model_construct(id="20260101000000"))


@pytest.mark.parametrize("name", ["orchestrator", "o" * 63])
def test_what_is_set_aside_has_a_name_that_is_known_again(name: str) -> None:
    mine = target(name)
    names = [mine._ended(number) for number in (1, 2, 11)]
    assert len(set(names)) == 3
    assert all(len(each) <= 63 and mine._is_kept(each) for each in names)
    for other in ("orchestrator_archive_before_20260101000000", name, f"{names[0]}_x"):
        assert not mine._is_kept(other)


@pytest.mark.parametrize(
    ("head", "major"),
    [(b"-- Dumped by pg_dump version 17.2 (Debian)\n", 17), (b"-- Dumped by pg_dump\n", 0)],
)
def test_a_dump_tells_which_pg_dump_has_written_it(head: bytes, major: int) -> None:
    text = DumpText()
    text.feed(b"--\n-- PostgreSQL database dump\n--\n\n" + head)
    assert text.client_major == major
