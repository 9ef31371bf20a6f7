"""The machines' image: Debian made by debootstrap, imported into podman, kept for next time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lab import processes
from tests.lab.cache import making
from tests.lab.errors import LabError
from tests.lab.podman import podman

SUITE = "bookworm"
_PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iputils-ping,procps,kmod,rsync,"
    "postgresql-15,postgresql-15-repmgr,monit,iptables,nftables,zstd,lz4,curl,ca-certificates,"
    "docker.io,docker-compose,busybox-static,runit"
)
_APPLICATION = Path(__file__).with_name("application_image.sh")
_FINISH = """
set -eu
sh /application_image.sh
rm /application_image.sh
if pg_lsclusters -h | grep -q main; then pg_dropcluster 15 main; fi
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: >/etc/machine-id
systemctl disable -q ssh.service docker.service docker.socket containerd.service monit.service
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /usr/share/doc /usr/share/man
rm -rf /usr/share/locale
"""


def image() -> str:
    """Return the image's name; import it, and make it first (about two minutes), when missing."""
    recipe = "".join((SUITE, _PACKAGES, _FINISH, _APPLICATION.read_text()))
    version = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    name = f"localhost/pg-runbooks-node:{version}"
    with making(f"node-{version}.tar.zst") as archive:
        if podman("image", "exists", name, check=False).returncode == 0:
            return name
        if not archive.exists():
            _make(archive)
        _import(archive, name)
    return name


def _make(archive: Path) -> None:
    draft = archive.with_suffix(".draft")
    with tempfile.TemporaryDirectory(prefix="debootstrap-", dir=archive.parent) as directory:
        root = Path(directory)
        arguments: tuple[str | Path, ...] = (
            "--variant=minbase",
            f"--include={_PACKAGES}",
            SUITE,
            root,
            *_mirror(),
        )
        processes.run(("debootstrap", *arguments), timeout=1800)
        shutil.copy(_APPLICATION, root / _APPLICATION.name)
        processes.run(["chroot", root, "sh", "-c", _FINISH], timeout=300)
        script = 'tar -C "$0" --one-file-system -c . | zstd -q -T0 -1 -f -o "$1"'
        processes.run(["sh", "-c", script, root, draft], timeout=600)
    draft.replace(archive)


def _import(archive: Path, name: str) -> None:
    with subprocess.Popen(["zstd", "-dcq", archive], stdout=subprocess.PIPE) as unpacking:
        podman("import", "-q", "-", name, stdin=unpacking.stdout, timeout=600)
    if unpacking.returncode != 0:
        raise LabError(f"{archive} cannot be unpacked", hint=f"Remove {archive} and start again.")


def _mirror() -> tuple[str, ...]:
    """Take the archive that this machine's own apt uses for the suite; else debootstrap's own."""
    if shutil.which("apt-get") is None:
        return ()
    asked = ("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)")
    lines = processes.run([*asked, "Created-By: Packages"], check=False).stdout.splitlines()
    rows = [line.split() for line in lines]
    return tuple(row[2] for row in rows if len(row) == 3 and row[:2] == [SUITE, "main"])[:1]
