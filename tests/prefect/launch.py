"""Runs the launcher with the procedures of these tests, as a program of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from deployments.settings import ControlRoom
from deployments.up import Launcher


def main() -> None:
    """Run until told to stop: state directory, port, seconds for draining, --no-server."""
    began = time.monotonic()
    room = ControlRoom(port=int(sys.argv[2]), state=Path(sys.argv[1]))
    Launcher(
        room,
        lambda text: print(f"{time.monotonic() - began:.1f} {text}", flush=True),
        server="--no-server" not in sys.argv,
        drain=float(sys.argv[3]),
        timezone="Europe/Berlin",
        packages=("tests.prefect.procedures",),
    ).run()


if __name__ == "__main__":
    main()
