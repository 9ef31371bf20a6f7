"""The loopback lab, its troubles and its stores do what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import psycopg
import pytest
from azure.storage.blob import BlobServiceClient

from tests.lab import packages, processes, repmgr, shop
from tests.lab.addresses import BASE
from tests.lab.azurite import BlobServer
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.s3 import S3Server
from tests.lab.writer import Writer

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def node(loopback_lab: LoopbackLab) -> PostgresNode:
    return loopback_lab.postgres("labs1", rows=500, tablespaces=["fast"])


@pytest.fixture(scope="module")
def cluster(loopback_lab: LoopbackLab) -> repmgr.RepmgrCluster:
    return loopback_lab.repmgr_cluster("labs2", "labs3", rows=100, tablespaces=["space"])


def test_a_host_has_its_own_name_and_lets_root_and_postgres_in(node: PostgresNode) -> None:
    assert node.host.run(["hostname"]).stdout == "labs1\n"
    assert node.host.run(["id", "-un"], user="postgres").stdout == "postgres\n"
    assert [entry.command for entry in node.host.journal][-2:] == ["hostname", "id -un"]
    assert node.host.journal[-1].user == "postgres"


def test_the_journal_keeps_commands_of_several_lines(node: PostgresNode) -> None:
    node.host.run(["printf", "%s", "one\ntwo\tthree"])
    assert node.host.journal[-1].command == "printf %s 'one\ntwo\tthree'"


def test_a_wrong_host_key_is_refused(node: PostgresNode, tmp_path: Path) -> None:
    wrong = tmp_path / "known_hosts"
    mine = node.host.known_hosts.read_text().split()
    wrong.write_text(f"{mine[0]} ssh-ed25519 {'A' * 67}=\n")
    argv = [w.replace(str(node.host.known_hosts), str(wrong)) for w in node.host.ssh()]
    assert processes.run([*argv, "true"], check=False).returncode == 255


def test_files_travel_over_sftp(node: PostgresNode, tmp_path: Path) -> None:
    *options, where = node.host.ssh()
    options = [word.replace("-p", "-P") if word == "-p" else word for word in options[1:]]
    target = tmp_path / "copied"
    processes.run(["sftp", *options, f"{where}:/etc/hostname", target])
    assert target.read_bytes() == Path("/etc/hostname").read_bytes()


def test_postgresql_asks_for_its_password_over_tcp(node: PostgresNode) -> None:
    with psycopg.connect(node.conninfo("shop")) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (500,)
    wrong = node.conninfo().replace(node.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_orders_lie_in_the_tablespace(node: PostgresNode) -> None:
    space = node.psql("SELECT tablespace FROM pg_tables WHERE tablename='orders'", database="shop")
    assert space == "fast"
    assert any(node.tablespaces["fast"].iterdir())


def test_two_nodes_have_system_identifiers_of_their_own(
    node: PostgresNode, cluster: repmgr.RepmgrCluster
) -> None:
    ask = "SELECT system_identifier FROM pg_control_system()"
    assert node.psql(ask) != cluster.primary.psql(ask)


def test_replication_access_can_be_left_out(loopback_lab: LoopbackLab) -> None:
    node = loopback_lab.postgres("labs4", replication=False)
    rules = "SELECT count(*) FROM pg_hba_file_rules WHERE 'replication' = ANY(database)"
    assert node.psql(rules) == "0"


def test_a_node_stops_and_starts_again(node: PostgresNode) -> None:
    before = shop.fingerprint(node)
    node.stop()
    assert not node.is_running()
    node.start()
    assert shop.fingerprint(node) == before


def test_repmgr_shows_a_primary_and_its_standby(cluster: repmgr.RepmgrCluster) -> None:
    assert cluster.show() == "1,0,0\n2,0,1"
    assert (cluster.primary.name, [n.name for n in cluster.standbys]) == ("labs2", ["labs3"])
    assert cluster.primary.psql("SELECT state FROM pg_stat_replication") == "streaming"


def test_repmgr_logs_in_from_node_to_node(cluster: repmgr.RepmgrCluster) -> None:
    standby = cluster.standbys[0]
    done = cluster.repmgr(standby, "cluster", "matrix", "--csv")
    assert sorted(done.stdout.split()) == ["1,1,0", "1,2,0", "2,1,0", "2,2,0"]


@pytest.fixture(params=["moto_s3", "rclone_s3"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, S3Server)
    return server


def test_an_s3_server_keeps_an_object(s3: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.key_id,
        aws_secret_access_key=s3.secret,
        region_name=s3.region,
    )
    body = os.urandom(1 << 20)
    client.put_object(Bucket=s3.bucket, Key="shop/one", Body=body)
    assert client.get_object(Bucket=s3.bucket, Key="shop/one")["Body"].read() == body
    client.delete_object(Bucket=s3.bucket, Key="shop/one")


def test_azurite_keeps_a_blob(azurite: BlobServer) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        blob = service.get_blob_client(azurite.container, "shop/one")
        blob.upload_blob(b"content")
        assert blob.download_blob().readall() == b"content"
        blob.delete_blob()


def test_two_labs_live_side_by_side(loopback_lab: LoopbackLab) -> None:
    with LoopbackLab() as other:
        assert other.name != loopback_lab.name
        assert other.host("labs1").address != loopback_lab.host("labs1").address


def test_a_lab_leaves_nothing_behind() -> None:
    with LoopbackLab() as lab:
        node = lab.postgres("db")
        with Writer(node.conninfo()):
            node.host.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 &"])
            os.kill(node.pid or 0, signal.SIGSTOP)
    assert processes.members(lab.name, lab.directory) == []
    assert not lab.directory.exists()


_KILLED = """
import os, signal, sys
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
lab = LoopbackLab()
lab.__enter__()
lab.postgres("db")
print(lab.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_lab_left_the_next_one_clears() -> None:
    for _ in range(9):
        argv = [sys.executable, "-c", _KILLED]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path.cwd())
        assert done.returncode == -signal.SIGKILL
        with LoopbackLab() as lab:
            if lab.name != done.stdout.strip():
                continue  # the next one was another test's
            assert lab.host("db").run(["true"]).returncode == 0
            assert lab.postgres("db").psql("SELECT 1") == "1"
            return
    pytest.fail("others were always the next ones")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_lab_by_hand_ends_clean_on_a_signal(number: signal.Signals) -> None:
    argv = [sys.executable, "-u", "-m", "tests.lab", "up", "loopback"]
    by_hand = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert by_hand.stdout is not None
    lines = []
    for line in by_hand.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    lab = next(word for word in "".join(lines).split("/") if word.startswith("127."))
    assert processes.members(lab, BASE / lab)
    by_hand.send_signal(number)
    assert by_hand.wait(30) == 0
    assert "nothing is left running" in by_hand.stdout.read()
    by_hand.stdout.close()
    assert processes.members(lab, BASE / lab) == []
    assert not (BASE / lab).exists()


def test_missing_packages_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.NEEDED, "no-such-package", "no-such-program")
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(LabError, match=r"apt-get install .* no-such-package"):
        packages.install()


def test_nothing_that_the_labs_need_is_missing() -> None:
    assert packages.missing() == ()
