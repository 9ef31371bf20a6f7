"""One sshd per host, on the host's own loopback address, with a journal of what was run."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.ssh import SshEndpoint

PORT = 2222
"""The same port on every host, as in production."""

_CONFIGURATION = """\
ListenAddress {host.address}
Port {host.ssh_port}
HostKey {host.directory}/host_key
PidFile {host.directory}/sshd.pid
AuthorizedKeysFile {keys}/authorized_keys
StrictModes no
# The packaged account postgres is locked; without PAM sshd refuses it.
UsePAM yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root postgres
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 100
MaxSessions 10
LogLevel VERBOSE
# At this level bash leaves out ~/.bashrc: what a login does on this machine is no part of the lab.
# What it reads in its place writes down the command that sshd has given it.
SetEnv {mark}={host.lab} SHLVL=2 BASH_ENV={host.directory}/journal.sh
Subsystem sftp /usr/lib/openssh/sftp-server
"""

# bash writes line by line, and so that of two at once would be mixed: a record is one line.
_LINE_END = "\x01"
_JOURNAL = """\
unset BASH_ENV
printf '%s\\t%s\\0' "$USER" "${{BASH_EXECUTION_STRING//$'\\n'/$'\\x01'}}" >>{journal}
"""


@dataclass(frozen=True)
class Entry:
    """A command that sshd ran, as its client sent it; interactive shells are not among them."""

    user: str
    command: str


@dataclass(frozen=True)
class Host(SshEndpoint):
    """A host of the loopback lab: an address with sshd and a directory of its own."""

    ssh_port: int = PORT

    @property
    def journal(self) -> tuple[Entry, ...]:
        """The commands that were run over SSH on this host, oldest first."""
        text = (self.directory / "journal").read_text().replace(_LINE_END, "\n")
        return tuple(Entry(*record.split("\t", 1)) for record in text.split("\0") if record)

    def start_ssh(self) -> None:
        """Start this host's sshd, if it does not run; return when it listens."""
        if self._pid() is not None:
            return
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = (
            "/usr/sbin/sshd",
            "-f",
            str(self.directory / "sshd_config"),
            "-E",
            str(self.directory / "sshd.log"),
        )
        processes.run((*_own_host_name(self.name), *sshd), mark=self.lab)
        processes.until(lambda: self._pid() is not None, f"sshd of {self.name} listens")

    def stop_ssh(self) -> None:
        """Stop sshd and cut its connections; commands that run go on, as behind a cut cable."""
        pid = self._pid()
        if pid is None:
            return
        sessions = [p for p in processes.children(pid) if _is_sshd(p)]
        processes.end([pid, *sessions])

    def cut_sessions(self) -> None:
        """Cut the connections of now; sshd takes new ones, commands that run go on."""
        pid = self._pid()
        if pid is not None:
            processes.end([each for each in processes.children(pid) if _is_sshd(each)])

    def _pid(self) -> int | None:
        try:
            pid = int((self.directory / "sshd.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if processes.alive(pid) else None


def create_host(
    lab: str, name: str, address: str, directory: Path, keys: Path, known_hosts: Path
) -> Host:
    """Make a host's keys and configuration, add its key to known_hosts, start its sshd."""
    host = Host(lab, name, address, directory, keys / "worker", known_hosts)
    directory.mkdir(mode=0o755)
    host.create_host_key()
    text = _CONFIGURATION.format(host=host, keys=keys, mark=processes.MARK)
    _write(directory / "sshd_config", text, 0o644)
    _write(directory / "journal.sh", _JOURNAL.format(journal=directory / "journal"), 0o644)
    _write(directory / "journal", "", 0o666)
    host.start_ssh()
    return host


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


@functools.cache
def _can_name_hosts() -> bool:
    return processes.run(["unshare", "--uts", "true"], check=False).returncode == 0


def _own_host_name(name: str) -> tuple[str, ...]:
    """Give a process a host name of its own, where the kernel lets us."""
    if not _can_name_hosts():
        return ()
    return ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name == "sshd"
    except OSError:
        return False
