"""What a measured runbook is asked for, and what it answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import commands
from tests.bench.settings import SECRET

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """When the runbook began (epoch), its seconds, its audit record, its peak memory in bytes."""

    began: float
    seconds: float
    trail: str
    memory: int
    process: float = 0.0
    """Seconds of the whole process, start of the interpreter and imports included."""


@dataclass(frozen=True)
class Order:
    """A runbook with its parameters; `synced` is a directory to write down before time stops."""

    inventory: str
    runbook: str
    parameters: Mapping[str, str | bool]
    state: str
    synced: str = ""
    in_prefect: bool = False
    secret: str = field(default="", repr=False)

    def carried_out(self) -> Answer:
        """Carry the order out in a process of its own."""
        known = {name: value for name, value in vars(self).items() if name != "secret"}
        env = {
            "PG_RUNBOOKS_STATE": self.state,
            "PYTHONPATH": str(_ROOT),
            "HOME": self.state,
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            SECRET: self.secret,
        }
        argv = [*_profiler(), sys.executable, "-m", "tests.bench.worker", json.dumps(known)]
        with commands.timed() as clock:
            output = commands.run(argv, env=env)
        answer = json.loads(next(row for row in output.splitlines() if row.startswith("{")))
        return Answer(**{**answer, "process": clock.seconds})


def _profiler() -> tuple[str, ...]:
    """Give words to put before the worker, such as a profiler's: BENCH_PROFILER."""
    return tuple(os.environ.get("BENCH_PROFILER", "").split())
