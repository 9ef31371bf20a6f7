"""No run may pull Prefect's own database from under itself."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, temporary_settings
from psycopg.conninfo import conninfo_to_dict

from blocks.save import save
from runbook.cluster import Backups, Cluster
from runbook.errors import CheckFailed
from runbook.hosts import Host, Ssh
from runbook.inventory import Inventory
from runbook.own_database import _for_libpq, _host_and_port, refuse_own_database
from runbook.postgres import Node
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PASSWORD, PostgresNode
from tests.prefect import procedures
from tests.prefect.conftest import Here, world_of
from tests.prefect.room import Room

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def home(loopback_lab: LoopbackLab) -> PostgresNode:
    """Give the server that holds Prefect's database."""
    return loopback_lab.postgres("prefect-home")


@pytest.fixture(scope="module")
def other(loopback_lab: LoopbackLab) -> PostgresNode:
    """Give a server that does not."""
    return loopback_lab.postgres("not-prefect")


def _url(node: PostgresNode, database: str = "prefect") -> str:
    return f"postgresql+asyncpg://postgres:{PASSWORD}@{node.host.address}:{node.port}/{database}"


def _cluster(node: PostgresNode, name: str = "home") -> Cluster:
    made = Node(
        name=name,
        host=Host(name=node.name),
        address=node.host.address,
        port=node.port,
        socket_directory=str(node.socket_directory),
        data_directory=str(node.data_directory),
        bin_directory=str(node.bin_directory),
    )
    return Cluster(name=name, nodes=(made,), backups=Backups(store="none"))


def test_the_same_server_is_refused_by_its_system_identifier(home: PostgresNode) -> None:
    elsewhere = _cluster(home).model_copy(
        update={"nodes": (_cluster(home).nodes[0].model_copy(update={"address": "127.0.0.9"}),)}
    )
    for options in ("", "?ssl=prefer&prepared_statement_cache_size=0"):
        with pytest.raises(CheckFailed, match="holds Prefect's own database") as told:
            refuse_own_database(elsewhere, _url(home, "postgres") + options)
        assert PASSWORD not in str(told.value)


def test_another_server_is_not_refused(home: PostgresNode, other: PostgresNode) -> None:
    refuse_own_database(_cluster(other), _url(home, "postgres"))
    refuse_own_database(_cluster(other), "sqlite+aiosqlite:///here.db")
    refuse_own_database(_cluster(other), "")


def test_a_server_that_a_run_replaces_is_refused_too(
    home: PostgresNode, other: PostgresNode
) -> None:
    with pytest.raises(CheckFailed, match="holds Prefect's own database"):
        refuse_own_database(_cluster(other), _url(home, "postgres"), _cluster(home).nodes)


def test_a_stopped_server_is_refused_by_its_address_and_the_doubt_is_told(
    home: PostgresNode, caplog: pytest.LogCaptureFixture
) -> None:
    far = _cluster(home).nodes[0]
    way = Ssh(address="127.0.0.9", port=1, user="nobody")
    far = far.model_copy(update={"host": Host(name="far", way=way)})
    home.stop()
    try:
        for cluster in (_cluster(home), _cluster(home).model_copy(update={"nodes": (far,)})):
            with pytest.raises(CheckFailed, match="holds Prefect's own database"):
                refuse_own_database(cluster, _url(home))
    finally:
        home.start()
    assert "judged by addresses alone" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_node_elsewhere_with_the_default_address_is_not_taken_for_ours(
    home: PostgresNode,
) -> None:
    way = Ssh(address="127.0.0.9", port=1, user="nobody")
    far = {"host": Host(name="far", way=way), "address": "127.0.0.1"}
    nodes = (_cluster(home).nodes[0].model_copy(update=far),)
    url = f"postgresql+asyncpg://postgres:wrong@localhost:{home.port}/prefect"
    refuse_own_database(_cluster(home).model_copy(update={"nodes": nodes}), url)


def test_a_url_over_a_socket_stays_one_for_libpq() -> None:
    url = "postgresql+asyncpg:///prefect?host=/run/postgresql&port=5433&prepared_statement_name=x"
    asked = conninfo_to_dict(_for_libpq(url))
    assert asked == {"host": "/run/postgresql", "port": "5433", "dbname": "prefect"}
    assert _host_and_port(url) == ("/run/postgresql", 5433)


def test_a_run_on_that_cluster_fails_before_it_does_anything(
    room: Room, client: SyncPrefectClient, home: PostgresNode
) -> None:
    save(Inventory(clusters=(_cluster(home, "prefect-home"),)))
    touch = Here(client, procedures.touch, "prefect-home")
    run = touch.create()
    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: _url(home, "postgres")}):
        state = touch.go(run)
    assert state.is_failed()
    assert "holds Prefect's own database" in str(state.message)
    assert world_of(room, "prefect-home") == set()
