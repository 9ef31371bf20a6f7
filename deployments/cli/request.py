"""What a person asked for at the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.cli.questions import Given
from runbook.errors import Refused

Parameter = str | int | bool


@dataclass(frozen=True)
class Request:
    """A runbook, its parameters, whether to act, and the approval given beforehand if any."""

    runbook: str
    parameters: Mapping[str, Parameter]
    go: bool = False
    approve_by: str = ""
    confirm: str = ""
    as_json: bool = False
    key: Path | None = None

    @property
    def cluster(self) -> str:
        """Name the cluster."""
        return str(self.parameters["cluster"])

    @property
    def reason(self) -> str:
        """Give the reason, for the run and for its approval."""
        return str(self.parameters.get("reason", ""))

    @property
    def approval(self) -> Given:
        """Give the approval that was given beforehand."""
        return Given("approve", self.approve_by, self.reason, self.confirm, key=self.key)

    @property
    def complete(self) -> Mapping[str, Parameter]:
        """Give the parameters as the runbook takes them."""
        return {**self.parameters, "dry_run": not self.go}

    def insist_on_confirmation(self) -> None:
        """Refuse a wrongly typed cluster name before anything at all is done."""
        if self.approve_by and self.confirm != self.cluster:
            raise Refused(
                f"the approval of {self.approve_by} does not count; nothing was started",
                detail=f"confirmed {self.confirm!r}, the cluster's name is {self.cluster!r}",
                hint=f"Is this the right cluster? If it is, give --confirm {self.cluster}.",
            )
