"""Install from Debian what the labs need, and say clearly what is missing where we cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.processes import environment

_POSTGRESQL = Path("/usr/lib/postgresql/15/bin")

NEEDED: dict[str, str | Path] = {
    "postgresql-15": _POSTGRESQL / "postgres",
    "postgresql-15-repmgr": _POSTGRESQL / "repmgr",
    "openssh-server": Path("/usr/sbin/sshd"),
    "openssh-client": "ssh",
    "podman": "podman",
    "containernetworking-plugins": Path("/usr/lib/cni/bridge"),
    "runc": "runc",
    "debootstrap": "debootstrap",
    "docker-compose": "docker-compose",
    "chromium": "chromium",
    "zstd": "zstd",
    "lz4": "lz4",
    "isal": "igzip",
    "monit": "monit",
    "nftables": "nft",
    "iptables": "iptables",
    "procps": "ps",
    "util-linux": "setpriv",
    "hostname": "hostname",
    "fonts-dejavu-core": Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    "apache2-bin": "apache2",
    "libapache2-mod-auth-openidc": Path("/usr/lib/apache2/modules/mod_auth_openidc.so"),
    "openssl": "openssl",
    "age": "age",
    "iproute2": "ip",
    "nodejs": "node",
    "npm": "npm",
}
"""Debian packages, each with a program or file that shows it is there (from wherever)."""

_SUPERUSER_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def missing() -> tuple[str, ...]:
    """List the packages whose program or file is not on this machine."""
    return tuple(package for package, shown in NEEDED.items() if not _is_there(shown))


def install() -> tuple[str, ...]:
    """Install what is missing, as root by apt; return what was installed."""
    wanted = missing()
    if not wanted:
        return ()
    by_hand = f"apt-get install --no-install-recommends {' '.join(wanted)}"
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(
            f"the labs miss {len(wanted)} Debian packages, and only root on Debian can add them",
            detail=" ".join(wanted),
            hint=f"As root on Debian 12: {by_hand}",
        )
    _apt("update")
    _apt("install", "--yes", "--no-install-recommends", *wanted)
    if missing():
        raise LabError("apt-get ended well, and still these are missing", detail=str(missing()))
    return wanted


def _is_there(shown: str | Path) -> bool:
    if isinstance(shown, Path):
        return shown.exists()
    return shutil.which(shown, path=_SUPERUSER_PATH) is not None


def _apt(*arguments: str) -> None:
    env = environment(None, "", {"DEBIAN_FRONTEND": "noninteractive"})
    done = subprocess.run(["apt-get", "-q", *arguments], env=env, check=False)
    if done.returncode != 0:
        raise LabError(
            f"apt-get {arguments[0]} ended with exit code {done.returncode}",
            hint="Read its last lines above; on Debian older or newer than 12 there is no "
            "postgresql-15 package.",
        )
