"""A command's time runs from its start, whatever it does or leaves undone."""

from __future__ import annotations

import pytest

from runbook.errors import Unreachable
from runbook.hosts import Command, Host


@pytest.mark.parametrize("leashed", [False, True])
def test_a_command_that_never_reads_its_input_ends_in_time(*, leashed: bool) -> None:
    command = Command(("sleep", "600"), stdin="x" * (1 << 20), timeout=0.5, leashed=leashed)
    with pytest.raises(Unreachable, match="no answer in"):
        Host(name="worker").attempt(command)


def test_what_is_read_and_answered_in_time_is_whole() -> None:
    done = Host(name="worker").run(Command(("wc", "-c"), stdin="x" * (1 << 20), timeout=60))
    assert done.stdout.strip() == str(1 << 20)
