"""The labs by hand: `python -m tests.lab up [loopback|machines]`, `install`, `image`."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

from tests.lab import machine_postgres, packages, repmgr
from tests.lab.azurite import azurite
from tests.lab.errors import LabError
from tests.lab.image import image
from tests.lab.loopback import LoopbackLab
from tests.lab.machines import MachinesLab
from tests.lab.s3 import rclone


def main(arguments: Sequence[str]) -> int:
    """Run a command of the labs; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a lab, say how to get in, wait for Ctrl-C")
    up.add_argument("lab", nargs="?", choices=("loopback", "machines"), default="loopback")
    commands.add_parser("install", help="install what the labs need (Debian packages)")
    commands.add_parser("image", help="make the machines' image ready (two minutes, once)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "up":
            _up(chosen.lab)
        elif chosen.command == "image":
            print(image())
        else:
            print("installed:", " ".join(packages.install()) or "nothing, all is there")
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe lab is down; nothing is left running.")
    return 0


def _up(lab: str) -> None:
    """Start a lab and wait; Ctrl-C, SIGTERM and a closed terminal all clear it away."""

    def leave(number: int, frame: FrameType | None) -> None:
        # A second signal must not interrupt the clearing away.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, leave)
    with ExitStack() as stack:
        if lab == "loopback":
            _loopback(stack)
        else:
            _machines(stack)
        print("\nCtrl-C ends the lab and clears everything away.", flush=True)
        signal.pause()


def _loopback(stack: ExitStack) -> None:
    lab = stack.enter_context(LoopbackLab())
    print("Starting one instance (shop) and a repmgr cluster ...", flush=True)
    single = lab.postgres("shop", rows=50_000, tablespaces=["archive"])
    cluster = lab.repmgr_cluster("db1", "db2", rows=50_000)
    for node in (single, *cluster.nodes):
        print(f"\n{node.name}: data directory {node.data_directory}")
        print(f"  psql '{node.conninfo('shop')}'")
        print(f"  {shlex.join(node.host.ssh())}    # or postgres@")
    configuration = repmgr.configuration(cluster.primary)
    print(f"\nrunuser -u postgres -- repmgr -f {configuration} cluster show")
    s3, blobs = stack.enter_context(rclone()), stack.enter_context(azurite())
    print(f"\nS3: {s3.endpoint} bucket {s3.bucket} key id {s3.key_id} secret {s3.secret}")
    print(f"Azure: container {blobs.container}, {blobs.connection_string}")


def _machines(stack: ExitStack) -> None:
    print("Making the image ready (two minutes at the first time) ...", flush=True)
    lab = stack.enter_context(MachinesLab())
    print("Booting two database machines and an application machine ...", flush=True)
    first, second = lab.repmgr_cluster("n1", "n2")
    app = lab.application("app1", first)
    for node in (first, second):
        _print_machine(node)
    print(f"\napp1: docker-compose -f {app.compose_file} ps")
    print(f"  {shlex.join(app.machine.ssh())}")


def _print_machine(node: machine_postgres.MachinePostgres) -> None:
    print(f"\n{node.name}: {node.unit}, repmgr -f {node.repmgr_configuration} cluster show")
    print(f"  psql '{node.conninfo()}'")
    print(f"  {shlex.join(node.machine.ssh())}    # or postgres@")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
