"""A way in over SSH: address, login, key, and the host key to insist on."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import processes


@dataclass(frozen=True)
class SshEndpoint:
    """A host one can log in to by key as any of its users; its host key is in known_hosts."""

    lab: str
    name: str
    address: str
    directory: Path
    private_key: Path
    known_hosts: Path
    ssh_port: int = 22
    users: tuple[str, ...] = ("root", "postgres")

    def ssh(self, user: str = "root") -> tuple[str, ...]:
        """Return the ssh command line to this host, host key checked, without a command."""
        options = (
            "BatchMode=yes",
            f"UserKnownHostsFile={self.known_hosts}",
            "StrictHostKeyChecking=yes",
            "ConnectTimeout=5",
            "LogLevel=ERROR",
        )
        flags = tuple(word for option in options for word in ("-o", option))
        where = ("-p", str(self.ssh_port), f"{user}@{self.address}")
        return ("ssh", "-F", "none", "-i", str(self.private_key), *flags, *where)

    def way(self, user: str = "root") -> dict[str, Any]:
        """Give the way in as an inventory has it."""
        return {
            "kind": "ssh",
            "address": self.address,
            "port": self.ssh_port,
            "user": user,
            "key_file": str(self.private_key),
            "known_hosts": str(self.known_hosts),
        }

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host over SSH."""
        words = [*self.ssh(user), shlex.join(argv)]
        return processes.run(words, check=check, timeout=timeout, stdin=stdin)

    def create_host_key(self) -> Path:
        """Make the host's key pair and add its public half to known_hosts."""
        key = self.directory / "host_key"
        create_key(key)
        where = self.address if self.ssh_port == 22 else f"[{self.address}]:{self.ssh_port}"
        algorithm, public, *_ = key.with_suffix(".pub").read_text().split()
        with self.known_hosts.open("a") as known:
            known.write(f"{where} {algorithm} {public}\n")
        return key


def create_key(path: Path, owner: str = "root") -> None:
    """Make a key pair without a passphrase, readable by its owner alone."""
    processes.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path])
    shutil.chown(path, owner)


def create_keys(directory: Path) -> None:
    """Make a lab's two log-in keys: the worker's, and the one of postgres between nodes."""
    directory.mkdir(mode=0o755)
    create_key(directory / "worker")
    create_key(directory / "postgres", owner="postgres")
    public = [(directory / f"{name}.pub").read_text() for name in ("worker", "postgres")]
    (directory / "authorized_keys").write_text("".join(public))
