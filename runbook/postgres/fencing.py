"""How a machine is taken out of service when nobody can log in to it any more."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts import Command, Host

_SECONDS = 180.0


class Fencing(BaseModel):
    """A command that takes the node's machine out of service, and one that proves it.

    Such as `ipmitool -H ... power off`, a hypervisor's command line, or a switch port. Secrets
    belong in files that the command reads, not in its arguments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: Host = Field(
        default=Host(name="worker"), description="Where both run; left out: on the worker."
    )
    command: tuple[str, ...] = Field(min_length=1, description="Takes the node out of service.")
    proof: tuple[str, ...] = Field(
        min_length=1, description="Exits with 0 when the node is out of service, else with 1."
    )
    user: str = Field(default="", description="Operating system user; empty: the login.")

    def take_out(self) -> Command:
        """Give the command that takes the node out of service."""
        return Command(self.command, user=self.user, timeout=_SECONDS)

    def is_out(self) -> Command:
        """Give the command that exits with 0 when the node is out of service."""
        return Command(self.proof, user=self.user, ok=(0, 1), timeout=_SECONDS)
