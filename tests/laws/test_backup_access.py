"""pg_hba.conf: what is granted, where the rule goes, and that nobody's file is ever spoiled."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from runbook.cluster import Backups, Cluster, Replication
from runbook.errors import CheckFailed, CommandFailed
from runbook.hosts import Host, Local, Ssh
from runbook.postgres import Node, access
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import BIN_DIRECTORY, PASSWORD, PostgresNode

pytestmark = pytest.mark.lab
HEAD = ("# café", "local all all peer", "host all all 127.0.0.0/8 scram-sha-256")
RULE = "host    replication     postgres        127.0.0.1/32            "


@pytest.fixture(scope="module")
def server(loopback_lab: LoopbackLab) -> PostgresNode:
    """Make a server without any rule for replication."""
    return loopback_lab.postgres("hba1", hba=HEAD)


@pytest.fixture
def rules(server: PostgresNode) -> Iterator[Path]:
    """Give the file, which each test may write anew."""
    path = server.data_directory / "pg_hba.conf"
    write(server, HEAD)
    yield path
    if path.is_symlink():
        path.unlink()
    for left in server.directory.rglob("pg_hba*.before-*"):
        left.unlink()
    write(server, HEAD)


def write(server: PostgresNode, rows: Sequence[str], encoding: str = "utf-8") -> None:
    path = server.data_directory / "pg_hba.conf"
    path.write_bytes(("\n".join(rows) + "\n").encode(encoding))
    processes.run(["chown", "postgres:postgres", path])
    path.chmod(0o640)
    before = server.psql("SELECT pg_conf_load_time()")
    server.reload()
    loaded = lambda: server.psql("SELECT pg_conf_load_time()") != before  # noqa: E731
    processes.until(loaded, "the file is loaded")


def node_of(server: PostgresNode, *, local: bool = False, address: str = "") -> Node:
    way = Local() if local else Ssh(**server.host.way("postgres"))
    return Node(
        name=server.name,
        host=Host(name=server.name, way=way),
        address=address or server.host.address,
        port=server.port,
        bin_directory=str(BIN_DIRECTORY),
        socket_directory=str(server.socket_directory),
    )


def cluster_of(node: Node, password: str = PASSWORD, **replication: object) -> Cluster:
    return Cluster(
        name="shop",
        nodes=(node,),
        replication=Replication.model_validate(replication),
        replication_password=SecretStr(password),
        backups=Backups(store="store"),
    )


def granted(node: Node, cluster: Cluster) -> int:
    """Do what the step does; give the number of actions."""
    access.insist_on_grantable(node, cluster)
    if access.is_granted(node, cluster):
        return 0
    actions = access.grant(node, cluster)
    for action in actions:
        action.perform()
    processes.until(lambda: access.is_granted(node, cluster), "the login works", within=60)
    return len(actions)


@pytest.mark.parametrize("local", [False, True], ids=["ssh", "local"])
def test_a_missing_rule_is_added_once(server: PostgresNode, rules: Path, *, local: bool) -> None:
    before = rules.read_text()
    rules.chmod(0o600)
    owner = rules.stat().st_uid
    node = node_of(server, local=local)
    cluster = cluster_of(node)
    assert granted(node, cluster) == 2
    added = f"# pg-runbooks: base backups\n{RULE}scram-sha-256\n"
    assert rules.read_text() == before + added
    assert (rules.stat().st_uid, stat.S_IMODE(rules.stat().st_mode)) == (owner, 0o600)
    (aside,) = rules.parent.glob("pg_hba.conf.before-*")
    assert aside.read_text() == before
    assert granted(node, cluster) == 0
    assert rules.read_text() == before + added


def test_a_rule_that_is_there_is_enough(server: PostgresNode, rules: Path) -> None:
    write(server, [*HEAD, "host replication +pg_read_all_data,all samehost scram-sha-256"])
    before = rules.read_bytes()
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 0
    assert rules.read_bytes() == before


@pytest.mark.parametrize(
    "blocking",
    [
        "host replication all 127.0.0.0/8 reject",
        "host replication postgres all reject",
        "hostnossl replication all 0.0.0.0/0 reject",
        "host replication all 127.0.0.1/32 ident",
    ],
)
def test_the_rule_goes_before_the_one_that_turns_away(
    server: PostgresNode, rules: Path, blocking: str
) -> None:
    write(server, [*HEAD, blocking, "host replication all all scram-sha-256"])
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 2
    rows = rules.read_text().splitlines()
    assert rows.index(f"{RULE}scram-sha-256") == rows.index(blocking) - 1


def test_a_rule_for_a_group_that_rejects_is_got_past(server: PostgresNode, rules: Path) -> None:
    server.psql("CREATE ROLE staff; GRANT staff TO postgres")
    blocking = "host replication +staff 127.0.0.1/32 reject"
    write(server, [*HEAD, blocking, "host replication all 127.0.0.1/32 scram-sha-256"])
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 2
    rows = rules.read_text().splitlines()
    assert rows.index(f"{RULE}scram-sha-256") == rows.index(blocking) - 1


def test_a_rule_for_tls_alone_is_no_rule_for_the_tunnel(server: PostgresNode, rules: Path) -> None:
    write(server, [*HEAD, "hostssl replication all all scram-sha-256"])
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 2
    assert f"{RULE}scram-sha-256" in rules.read_text()


def test_a_rule_that_is_not_loaded_yet_needs_a_reload_only(
    server: PostgresNode, rules: Path
) -> None:
    with rules.open("a") as file:
        file.write("host replication all 127.0.0.1/32 scram-sha-256\n")
    before = rules.read_bytes()
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 1
    assert rules.read_bytes() == before


def test_bytes_that_are_no_utf8_survive(server: PostgresNode, rules: Path) -> None:
    write(server, HEAD, encoding="latin-1")
    rules.write_bytes(rules.read_bytes().rstrip(b"\n"))
    server.reload()
    before = rules.read_bytes()
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 2
    assert rules.read_bytes().startswith(before + b"\n# pg-runbooks")


def test_a_symbolic_link_stays_one(server: PostgresNode, rules: Path) -> None:
    real = server.directory / "pg_hba.real"
    rules.rename(real)
    rules.symlink_to(real)
    node = node_of(server)
    assert granted(node, cluster_of(node)) == 2
    assert rules.is_symlink()
    assert RULE in real.read_text()
    assert len(list(server.directory.glob("pg_hba.real.before-*"))) == 1


def test_the_old_file_comes_back_when_postgresql_reports_an_error(
    server: PostgresNode, rules: Path
) -> None:
    before = rules.read_bytes()
    node = node_of(server)
    cluster = cluster_of(node)
    wrong = cluster.replication.model_copy(update={"method": "nonsense"})
    write_rule, _ = access.grant(node, cluster.model_copy(update={"replication": wrong}))
    with pytest.raises(CommandFailed, match="nonsense") as caught:
        write_rule.perform()
    assert "put back" in caught.value.detail
    assert rules.read_bytes() == before
    assert server.psql("SELECT count(error) FROM pg_hba_file_rules") == "0"


def test_a_file_with_errors_is_refused_and_left_alone(server: PostgresNode, rules: Path) -> None:
    with rules.open("a") as file:
        file.write("host replication all nonsense\n")
    before = rules.read_bytes()
    node = node_of(server)
    with pytest.raises(CheckFailed, match="has errors"):
        granted(node, cluster_of(node))
    assert rules.read_bytes() == before


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(
    server: PostgresNode, rules: Path
) -> None:
    node = node_of(server)
    write_rule, _ = access.grant(node, cluster_of(node))
    with rules.open("a") as file:
        file.write("# somebody else\n")
    before = rules.read_bytes()
    with pytest.raises(CommandFailed) as caught:
        write_rule.perform()
    assert "changed by somebody else" in caught.value.detail
    assert rules.read_bytes() == before
    assert not list(rules.parent.glob("*.pg-runbooks-new"))


def test_an_owner_that_cannot_be_kept_is_told(server: PostgresNode, rules: Path) -> None:
    processes.run(["chown", "root:postgres", rules])
    node = node_of(server)
    with pytest.raises(CommandFailed) as caught:
        granted(node, cluster_of(node))
    assert "cannot keep the owner" in caught.value.detail
    assert RULE not in rules.read_text()


def test_settings_may_forbid_to_grant(server: PostgresNode, rules: Path) -> None:
    node = node_of(server)
    with pytest.raises(CheckFailed, match="does not let postgres") as caught:
        granted(node, cluster_of(node, grant=False))
    assert f"{RULE}scram-sha-256" in caught.value.hint
    assert RULE not in rules.read_text()


def test_a_password_rule_is_not_written_without_a_password(
    server: PostgresNode, rules: Path
) -> None:
    node = node_of(server)
    with pytest.raises(CheckFailed, match="has no replication_password"):
        granted(node, cluster_of(node, password=""))
    assert RULE not in rules.read_text()


def test_trust_is_written_only_where_the_settings_say_so(server: PostgresNode, rules: Path) -> None:
    node = node_of(server)
    assert granted(node, cluster_of(node, password="", method="trust")) == 2
    assert f"{RULE}trust" in rules.read_text()


def test_a_wrong_password_is_told_and_not_shown(server: PostgresNode, rules: Path) -> None:
    write(server, [*HEAD, "host replication all 127.0.0.1/32 scram-sha-256"])
    before = rules.read_bytes()
    node = node_of(server)
    with pytest.raises(CheckFailed, match="does not accept the login") as caught:
        granted(node, cluster_of(node, password="not-the-one"))
    assert "password authentication failed" in str(caught.value)
    assert "not-the-one" not in str(caught.value)
    assert rules.read_bytes() == before


def test_a_role_without_replication_is_told(server: PostgresNode, rules: Path) -> None:
    server.psql(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    write(server, [*HEAD, "host replication all 127.0.0.1/32 scram-sha-256"])
    node = node_of(server)
    with pytest.raises(CheckFailed, match="does not accept the login plain") as caught:
        granted(node, cluster_of(node, user="plain"))
    assert "REPLICATION" in caught.value.hint


def test_an_ipv6_address_gets_its_own_rule(server: PostgresNode, rules: Path) -> None:
    server.psql("ALTER SYSTEM SET listen_addresses = '*'")
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
    server.psql("ALTER SYSTEM SET port = 15432")
    server.stop()
    server.start()
    try:
        node = node_of(server, address="::1").model_copy(update={"port": 15432})
        cluster = cluster_of(node)
        for _ in range(2):
            access.insist_on_grantable(node, cluster)
        assert granted(node, cluster) == 2
        assert "::1/128" in rules.read_text()
        assert granted(node, cluster) == 0
    finally:
        (server.data_directory / "postgresql.auto.conf").write_text("")
        server.stop()
        server.start()
