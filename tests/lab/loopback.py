"""The fast lab: hosts on loopback addresses, each with sshd and PostgreSQL, same ports all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import repmgr, shop, ssh, sshd, trouble
from tests.lab.addresses import AddressBlock
from tests.lab.errors import require_root
from tests.lab.postgres import Authentication, PostgresNode, initialise, prepare_node
from tests.lab.sshd import Host
from tests.lab.unchanged import unchanged


class LoopbackLab:
    """Hosts 127.N.0.11, .12, …; N is this lab's own, so that several labs live side by side."""

    trouble = trouble
    unchanged = staticmethod(unchanged)

    def __init__(self) -> None:
        require_root()
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        self._block = AddressBlock()
        try:
            ssh.create_keys(self.keys)
            self.known_hosts.touch(mode=0o644)
        except BaseException:
            self._block.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.release()

    @property
    def name(self) -> str:
        return self._block.name

    @property
    def directory(self) -> Path:
        return self._block.directory

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def host(self, name: str) -> Host:
        """Return the host of that name; made and its sshd started at the first call."""
        if name not in self.hosts:
            address = self._block.address(len(self.hosts) + 1)
            self.hosts[name] = sshd.create_host(
                self.name, name, address, self.directory / name, self.keys, self.known_hosts
            )
        return self.hosts[name]

    def postgres(
        self,
        name: str,
        *,
        rows: int = 0,
        pgbench_scale: int = 0,
        tablespaces: Sequence[str] = (),
        authentication: Authentication = "scram-sha-256",
        replication: bool = True,
        hba: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> PostgresNode:
        """Make and start a new PostgreSQL on a host.

        `rows`: orders in database shop (0: no shop). `replication`: hba rules for it.
        `hba`: the whole pg_hba.conf instead. `settings`: over the lab's own.
        """
        node = prepare_node(self.host(name), tablespaces)
        initialise(
            node, authentication=authentication, replication=replication, hba=hba, settings=settings
        )
        if rows:
            shop.load_shop(node, rows)
        if pgbench_scale:
            shop.load_pgbench(node, pgbench_scale)
        return node

    def repmgr_cluster(
        self,
        primary: str,
        *standbys: str,
        rows: int = 0,
        pgbench_scale: int = 0,
        tablespaces: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> repmgr.RepmgrCluster:
        """Make a repmgr cluster: primary registered, standbys cloned and registered."""
        wanted = {"shared_preload_libraries": "repmgr", **(settings or {})}
        first = self.postgres(
            primary,
            rows=rows,
            pgbench_scale=pgbench_scale,
            tablespaces=tablespaces,
            authentication="trust",
            settings=wanted,
        )
        others = [prepare_node(self.host(name), tablespaces) for name in standbys]
        return repmgr.build((first, *others), self.keys / "postgres")
