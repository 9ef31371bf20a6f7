"""One machine: a podman container with systemd, sshd and an IP address of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.podman import podman
from tests.lab.ssh import SshEndpoint

_PROVISION = """
set -eu
lab=/opt/lab/shared
for part in host_key host_key.pub; do
    install -m 600 "$lab/$1/$part" "/etc/ssh/ssh_host_ed25519_key${part#host_key}"
done
ln -sf "$lab/known_hosts" /etc/ssh/ssh_known_hosts
for user in root postgres; do
    home=$(getent passwd "$user" | cut -d: -f6)
    install -d -o "$user" -m 700 "$home/.ssh"
    install -o "$user" -m 600 "$lab/keys/authorized_keys" "$home/.ssh/authorized_keys"
done
install -o postgres -m 600 "$lab/keys/postgres" /var/lib/postgresql/.ssh/id_ed25519
printf 'postgres ALL=(root) NOPASSWD: /usr/bin/systemctl * postgresql@15-main*\\n' \
    >/etc/sudoers.d/postgres
systemctl enable -q --now ssh.service
"""


# Calls the gateway, whose address is on the line of the default route as a number in hex.
_CALL = """
read -r gateway < <(awk '$2 == "00000000" { print $3 }' /proc/net/route)
printf -v address '%d.%d.%d.%d' 0x${gateway:6:2} 0x${gateway:4:2} 0x${gateway:2:2} 0x${gateway:0:2}
timeout 1 bash -c "</dev/tcp/$address/9" 2>/dev/null
true
"""

_CUT = "; ".join(
    ["add table inet cable"]
    + [
        f"add chain inet cable {way} {{ type filter hook {way} priority -10; policy drop; }}; "
        f"add rule inet cable {way} {port} lo accept"
        for way, port in (("input", "iif"), ("output", "oif"))
    ]
)


@dataclass(frozen=True)
class Machine(SshEndpoint):
    """A machine of the machines lab; its container's name is the lab's name and its own."""

    network: str = ""

    @property
    def container(self) -> str:
        return f"{self.network}-{self.name}"

    def start(self) -> None:
        """Switch the machine on and wait until systemd and sshd are up.

        It has a new hardware address now: whoever knows the old one hears of it when it calls.
        """
        podman("start", self.container, mark=self.lab)
        self.wait_until_up()
        podman("exec", self.container, "bash", "-c", _CALL)

    def stop(self) -> None:
        """Shut the machine down in order, as `poweroff` does."""
        podman("stop", "--time", "30", self.container)

    def kill(self) -> None:
        """Pull the plug."""
        podman("kill", "--signal", "KILL", self.container)
        podman("wait", self.container)

    def is_running(self) -> bool:
        seen = podman("inspect", "--format", "{{.State.Running}}", self.container).stdout
        return seen.strip() == b"true"

    def wait_until_up(self) -> None:
        """Wait until systemd has booted the machine, nothing failed, and sshd lets us in."""
        ask = ("exec", self.container, "systemctl", "is-system-running", "--wait")

        def booted() -> bool:
            return podman(*ask, check=False).stdout.strip() in {b"running", b"degraded"}

        processes.until(booted, f"{self.name} has booted", within=60, every=0.1)
        if podman(*ask, check=False).stdout.strip() == b"degraded":
            failed = podman("exec", self.container, "systemctl", "--failed", "--no-legend")
            raise LabError(f"units of {self.name} failed", detail=failed.stdout.decode())

    @contextmanager
    def off(self) -> Iterator[None]:
        """Kill the machine for the length of the block, then switch it on again."""
        self.kill()
        try:
            yield
        finally:
            if not self.is_running():
                self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze every process of the machine: it answers nothing, and knows nothing of it."""
        podman("pause", self.container)
        try:
            yield
        finally:
            podman("unpause", self.container)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Drop every packet from and to the machine, at once; everything on it goes on.

        Not by `podman network disconnect`: it comes back with another hardware address.
        """
        podman("exec", self.container, "nft", _CUT)
        try:
            yield
        finally:
            podman("exec", self.container, "nft", "delete", "table", "inet", "cable")


def create_machine(machine: Machine, image: str, *, engine: bool) -> None:
    """Create and boot a machine; with `engine`, one that can run Docker inside.

    Docker inside needs --privileged, and a private cgroup namespace: in the host's, its runc
    looks for cgroups where there are none. With cgroups v1 systemd in a private namespace
    refuses PID files (`postgresql@15-main` never comes up), so only such machines have one.
    """
    machine.directory.mkdir(mode=0o755)
    machine.create_host_key()
    base = machine.directory.parent
    rights = ("--privileged", "--cgroupns=private") if engine else ("--cap-add", "NET_ADMIN")
    volume = f"{machine.container}-docker:/var/lib/docker"
    disk = ("--volume", volume) if engine else ()
    podman(
        "run", "--detach", "--name", machine.container, "--hostname", machine.name,
        "--systemd=always", *rights, *disk,
        "--network", machine.network, "--ip", machine.address,
        "--volume", f"{base}:/opt/lab/shared:ro", "--env", f"{processes.MARK}={machine.lab}",
        image, "/sbin/init", mark=machine.lab,
    )  # fmt: skip
    machine.wait_until_up()
    provision(machine, _PROVISION, machine.name)


def provision(machine: Machine, script: str, *arguments: str | Path) -> None:
    """Run a shell script on the machine's console, as root, before there is any SSH."""
    podman("exec", machine.container, "sh", "-c", script, "provision", *arguments)
