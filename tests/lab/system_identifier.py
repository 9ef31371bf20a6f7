"""A cluster that becomes one of another database system, with the same rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import google_crc32c

from tests.lab.repmgr import RepmgrCluster, await_stream


def change(cluster: RepmgrCluster) -> None:
    """Give the first node another system identifier, and clone the others from it."""
    first, *others = cluster.nodes
    for node in reversed(cluster.nodes):
        node.stop()
    _rewrite(first.data_directory / "global" / "pg_control")
    first.tool("pg_resetwal", "-D", first.data_directory)
    first.start()
    for node in others:
        for directory in (node.data_directory, *node.tablespaces.values()):
            _empty(directory)
        source = ("-h", first.host.address, "-p", str(first.port), "-U", "repmgr", "-d", "repmgr")
        cluster.repmgr(node, *source, "standby", "clone", "--fast-checkpoint")
        node.start()
        await_stream(first.psql, node.name)


def _rewrite(control: Path) -> None:
    """Change the identifier, the file's first number, and the checksum of what stands before it."""
    raw = bytearray(control.read_bytes())
    at = next(n for n in range(8, len(raw), 4) if _checksum(raw[:n]) == bytes(raw[n : n + 4]))
    raw[0] ^= 1
    raw[at : at + 4] = _checksum(raw[:at])
    control.write_bytes(raw)


def _checksum(raw: bytearray) -> bytes:
    return int(google_crc32c.value(bytes(raw))).to_bytes(4, "little")


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
