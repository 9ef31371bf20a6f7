"""A stand-in for the bosh command: no director can be had here, and the machines are real.

It takes the words that the real one takes (ssh, instances), and does what its sources say that it
does: a user of its own on the machine for each session, in the group that may use sudo without a
password; `ssh -tt` with its options before ours; output of `-c` with the instance before each
line; exit code 1 whatever the command's was; its user taken away in the end.
Ref.: cloudfoundry/bosh-cli, cmd/ssh.go and ssh/
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import Machine

SECRET = "a-clients-secret"

_GROUP = """
groupadd --force bosh_sudoers
echo '%bosh_sudoers ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/bosh_sudoers
"""


@dataclass(frozen=True)
class StandInBosh:
    """The command, and the file of variables that lets it in."""

    program: Path
    environment_file: Path


def install(folder: Path, deployment: str, machines: dict[str, Machine]) -> StandInBosh:
    """Write the command for a deployment whose instances are machines of a lab."""
    known = {}
    for instance, machine in machines.items():
        machine.run(["sh", "-c", _GROUP])
        known[instance] = {
            "root": machine.ssh(),
            "address": machine.address,
            "known_hosts": str(machine.known_hosts),
        }
    director = folder / "director.json"
    director.write_text(json.dumps({deployment: known}))
    program = folder / "bosh"
    source = Path(__file__).with_name("bosh_command.py")
    words = shlex.join([sys.executable, str(source), str(director)])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    environment = folder / "environment"
    environment.write_text(f"export BOSH_CLIENT=admin BOSH_CLIENT_SECRET={SECRET}\n")
    environment.chmod(0o600)
    return StandInBosh(program, environment)


def users(machine: Machine) -> list[str]:
    """List bosh's users on a machine: one for each session that has not ended."""
    listed = machine.run(["getent", "passwd"]).stdout.splitlines()
    return [line.split(":")[0] for line in listed if line.startswith("bosh_")]
