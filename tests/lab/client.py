"""A client of PostgreSQL that runs beside a test and writes down in a file what it was told."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import processes

_ROOT = Path(__file__).parents[2]


class Client(ABC):
    """Runs a module of the lab with the name of its file from its first row to the block's end.

    It ends with the test's process, however that ends.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._module, self._environment = module, environment

    def __enter__(self) -> Self:
        descriptor, name = tempfile.mkstemp(prefix=f"{self._module.rpartition('.')[2]}-")
        os.close(descriptor)
        self.file = Path(name)
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", self._module, name],
            env=processes.environment(None, "", self._environment),
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )
        try:
            self.wait_for_rows(1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self.file.unlink(missing_ok=True)

    @abstractmethod
    def rows(self) -> int:
        """Count the rows that have been acknowledged so far."""

    def end(self) -> None:
        """End the client after its current row."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_for_rows(self, more: int, *, within: float = 30) -> None:
        """Wait until so many more rows have been acknowledged."""
        goal = self.rows() + more
        processes.until(lambda: self.rows() >= goal, f"the client has {goal} rows", within=within)
