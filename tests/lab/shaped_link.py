"""A network of our own behind a link that carries so many bytes a second and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab import processes

_HERE, _THERE = "198.18.0.1", "198.18.0.2"  # RFC 2544: for measurements between networks


@dataclass(frozen=True)
class ShapedLink:
    """The far end: a network namespace and its address as we see it."""

    namespace: str
    address: str = _THERE

    def inside(self, *argv: str) -> tuple[str, ...]:
        """Give the command line that runs a program at the far end."""
        return ("ip", "netns", "exec", self.namespace, *argv)


@contextmanager
def shaped_link(megabytes: int) -> Iterator[ShapedLink]:
    """Make a link of that many MB/s each way, and remove it.

    Ref.: tc-tbf(8), ip-netns(8)
    """
    name, near, far = "runbooks-link", "runbooks-near", "runbooks-far"
    link = ShapedLink(name)
    processes.run(("ip", "netns", "delete", name), check=False)  # a killed run's
    shape = ("root", "tbf", "rate", f"{megabytes * 8}mbit", "burst", "512kb", "latency", "50ms")
    processes.run(("ip", "netns", "add", name))
    try:
        for argv in (
            ("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name),
            ("ip", "address", "add", f"{_HERE}/30", "dev", near),
            ("ip", "link", "set", near, "up"),
            link.inside("ip", "address", "add", f"{_THERE}/30", "dev", far),
            link.inside("ip", "link", "set", far, "up"),
            ("tc", "qdisc", "add", "dev", near, *shape),
            link.inside("tc", "qdisc", "add", "dev", far, *shape),
        ):
            processes.run(argv)
        yield link
    finally:
        processes.run(("ip", "netns", "delete", name))
