"""The machines lab: nodes with systemd, sshd, nftables and addresses, made of podman."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import machine_monit, machine_postgres, podman, ssh
from tests.lab.addresses import AddressBlock
from tests.lab.application import Application, install_application
from tests.lab.errors import require_root
from tests.lab.image import image
from tests.lab.machine import Machine, create_machine
from tests.lab.machine_monit import A9sPostgres
from tests.lab.machine_postgres import MachinePostgres, create_postgres


class MachinesLab:
    """Machines 10.89.N.11, .12, … on a network of their own; N is this lab's alone."""

    def __init__(self) -> None:
        require_root()
        self.machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        self._image = image()
        self._block = AddressBlock()
        try:
            podman.remove(self.network)
            podman.podman("network", "create", "--subnet", self.subnet, self.network)
            ssh.create_keys(self.directory / "keys")
            self.known_hosts.touch(mode=0o644)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            podman.remove(self.network)
        finally:
            self._block.release()

    @property
    def name(self) -> str:
        return self._block.name

    @property
    def network(self) -> str:
        """The podman network's name, and the prefix of everything this lab has in podman."""
        return f"pg-runbooks-lab{self._block.number}"

    @property
    def subnet(self) -> str:
        return f"10.89.{self._block.number}.0/24"

    @property
    def directory(self) -> Path:
        return self._block.directory

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def machine(self, name: str, *, engine: bool = False) -> Machine:
        """Return the machine of that name; booted at the first call (`engine`: with Docker)."""
        if name not in self.machines:
            machine = Machine(
                self.name,
                name,
                f"10.89.{self._block.number}.{len(self.machines) + 11}",
                self.directory / name,
                self.directory / "keys" / "worker",
                self.known_hosts,
                network=self.network,
            )
            create_machine(machine, self._image, engine=engine)
            self.machines[name] = machine
        return self.machines[name]

    def postgres(
        self, name: str, *, settings: Mapping[str, str] | None = None, start: bool = True
    ) -> MachinePostgres:
        """Make PostgreSQL 15 on a machine, under systemd as postgresql@15-main."""
        return create_postgres(
            self.machine(name), network=self.subnet, settings=settings or {}, start=start
        )

    def repmgr_cluster(
        self, primary: str, *standbys: str, settings: Mapping[str, str] | None = None
    ) -> tuple[MachinePostgres, ...]:
        """Make a repmgr cluster: the primary registered, the standbys cloned and registered."""
        first = self.postgres(primary, settings=settings)
        others = [self.postgres(name, settings=settings, start=False) for name in standbys]
        machine_postgres.register((first, *others))
        return (first, *others)

    def a9s_cluster(self, *names: str) -> tuple[A9sPostgres, ...]:
        """Make a cluster as an a9s-pg deployment has it, run by monit; the first is primary."""
        return machine_monit.create_cluster([self.machine(name) for name in names], self.subnet)

    def application(self, name: str, database: MachinePostgres) -> Application:
        """Run the small application under docker-compose on a machine with Docker."""
        return install_application(self.machine(name, engine=True), database)
