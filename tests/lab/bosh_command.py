"""What the stand-in for bosh does; see bosh.py. The first argument is the file of the director."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from types import FrameType
from typing import IO

_ADD = """
useradd --create-home --groups bosh_sudoers --shell /bin/bash "$1"
install -d -o "$1" -m 700 "/home/$1/.ssh"
printf '%s\\n' "$2" >"/home/$1/.ssh/authorized_keys"
"""
_REMOVE = 'pkill -KILL -u "$1"; sleep 0.2; userdel --remove "$1" 2>/dev/null'


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="bosh")
    parser.add_argument("director")
    parser.add_argument("-e", "--environment")
    parser.add_argument("-d", "--deployment", required=True)
    parser.add_argument("command", choices=("ssh", "instances"))
    parser.add_argument("instance", nargs="?")
    parser.add_argument("-n", "--non-interactive", action="store_true")
    parser.add_argument("--opts", action="append", default=[])
    parser.add_argument("-c", "--command-line")
    asked = parser.parse_args()
    if "BOSH_CLIENT_SECRET" not in os.environ:
        print("Not authorized: 'Basic realm'\n\nExit code 1", file=sys.stderr)
        return 1
    deployment = json.loads(Path(asked.director).read_text()).get(asked.deployment)
    if deployment is None or (asked.command == "ssh" and asked.instance not in deployment):
        print(f"Deployment '{asked.deployment}' has no {asked.instance}", file=sys.stderr)
        return 1
    if asked.command == "instances":
        print("\n".join(f"{name}\trunning\t{it['address']}" for name, it in deployment.items()))
        return 0
    return _ssh(deployment[asked.instance], asked)


def _ssh(machine: dict[str, list[str] | str], asked: argparse.Namespace) -> int:
    """Make a user on the machine, be ssh, and take the user away whatever ends it."""
    user = f"bosh_{uuid.uuid4().hex[:15]}"
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "ssh-priv-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        _as_root(machine, _ADD, user, key.with_suffix(".pub").read_text().strip())
        try:
            argv = [
                *("ssh", "-tt", "-o", "ServerAliveInterval=30", "-o", "ForwardAgent=no"),
                *("-o", "PasswordAuthentication=no", "-o", "IdentitiesOnly=yes"),
                *("-o", f"IdentityFile={key}"),
                *("-o", f"UserKnownHostsFile={machine['known_hosts']}", *asked.opts),
                *("-o", "StrictHostKeyChecking=yes", "-l", user, "--", str(machine["address"])),
                asked.command_line,
            ]
            return 1 if _run(argv, asked.instance) else 0
        finally:
            _as_root(machine, _REMOVE, user)


def _run(argv: list[str], instance: str) -> int:
    """Run ssh with its output marked, and end it when bosh is told to end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    ) as ssh:

        def leave(number: int, frame: FrameType | None) -> None:
            ssh.terminate()

        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, leave)
        assert ssh.stdout is not None
        assert ssh.stderr is not None
        for name, stream in (("stdout", ssh.stdout), ("stderr", ssh.stderr)):
            threading.Thread(target=_mark, args=(stream, f"{instance}: {name} | ")).start()
        return ssh.wait()


def _mark(stream: IO[bytes], mark: str) -> None:
    for line in stream:
        sys.stdout.write(mark + line.decode(errors="replace"))
        sys.stdout.flush()


def _as_root(machine: dict[str, list[str] | str], script: str, *words: str) -> None:
    line = shlex.join(["bash", "-s", "--", *words])
    argv = [*machine["root"], line]
    subprocess.run(argv, input=script.encode(), check=False, timeout=30)


if __name__ == "__main__":
    sys.exit(main())
