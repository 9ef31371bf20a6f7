"""A declared check that changes something, as an Action: a dry run only lists its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr

from runbook.actions import Performed
from runbook.errors import CheckFailed
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem


@dataclass(frozen=True)
class HttpSequence:
    """The calls of a check, from the worker, cleaned up whatever happens."""

    check: HttpCheck
    secrets: Mapping[str, SecretStr] = field(repr=False)
    done: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def where(self) -> str:
        """Name the machine that is called."""
        return urlsplit(self.check.sequence[0].url).hostname or "the worker"

    @property
    def changes(self) -> bool:
        """Tell whether any call changes something."""
        return self.check.writes

    def __str__(self) -> str:
        return "\n".join(self.check.lines)

    @property
    def was_answered(self) -> bool:
        """Tell whether this very value was carried out, and answered as expected."""
        return bool(self.done)

    def perform(self) -> Performed:
        """Make the calls; CheckFailed tells what was not as expected."""
        trouble = problem(self.check, self.secrets)
        if trouble:
            raise CheckFailed(f"not so: {self.check}", detail=trouble)
        self.done.append(self.check.name)
        return Performed(None, f"{len(self.check.sequence)} calls were answered as expected")
