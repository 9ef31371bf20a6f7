"""What the block of a port says to clients, by the kernel of the host."""

from __future__ import annotations

import pytest

from runbook.logical.recovery.firewall import verdict


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("6.1.0-28-amd64\n", "reject with tcp reset"),
        ("5.15.0-122-generic\n", "reject with tcp reset"),
        ("5.9.0\n", "reject with tcp reset"),
        ("5.8.0-63-generic\n", "drop"),
        ("4.15.0-213-generic\n", "drop"),
        ("4.18.0-553.el8_10.x86_64\n", "drop"),
        ("\n", "drop"),
    ],
)
def test_a_kernel_that_cannot_reject_there_drops(release: str, said: str) -> None:
    assert verdict(release) == said
