"""A declared HTTP check: one call, or several that hang together, and what cleans up after them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runbook.health.call import HttpCall, Request
from runbook.health.placeholders import SECRET, UNIQUE


class HttpCheck(Request):
    """Calls that must be answered as expected when the cluster is in service.

    Either one call, written here, or `calls`. `cleanup` is called afterwards whatever happened,
    as far as the values that it needs are known.
    """

    name: str = Field(description="Name of the check in plans and records.")
    calls: tuple[HttpCall, ...] = Field(default=(), description="Several calls, in order.")
    cleanup: tuple[HttpCall, ...] = Field(default=(), description="Called on failure, too.")
    within: float = Field(default=60.0, ge=0, description="Patience in seconds.")
    level: Literal["critical", "warning"] = Field(
        default="critical", description="What it means when it fails."
    )
    ca_file: str = Field(
        default="", description="CA certificates on the worker; empty: the system's own."
    )

    @property
    def sequence(self) -> tuple[Request, ...]:
        """Give the calls in order; the short form is one."""
        return self.calls or (self,)

    @property
    def writes(self) -> bool:
        """Tell whether any call changes something."""
        first = super().writes if not self.calls else False
        return first or any(call.writes for call in (*self.calls, *self.cleanup))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Name the secrets that it refers to."""
        needed = (name for call in (*self.sequence, *self.cleanup) for name in call.needed)
        found = (name.removeprefix(SECRET) for name in needed if name.startswith(SECRET))
        return tuple(dict.fromkeys(found))

    @property
    def lines(self) -> tuple[str, ...]:
        """Give the lines that a person would type, secrets hidden."""
        tidy = (f"{call.line}  # cleaning up" for call in self.cleanup)
        return (*(call.line for call in self.sequence), *tidy)

    def __str__(self) -> str:
        if self.calls:
            return f"{self.name}: {len(self.calls)} calls are answered as expected"
        status = " or ".join(map(str, self.statuses))
        return f"{self.name}: {self.method} {self.url} answers {status}"

    @model_validator(mode="after")
    def _one_form(self) -> HttpCheck:
        if bool(self.url) == bool(self.calls):
            raise ValueError(f"check {self.name!r} has either a url or calls")
        single = set(Request.model_fields) & self.model_fields_set
        if self.calls and any(
            getattr(self, name) != Request.model_fields[name].get_default(call_default_factory=True)
            for name in single
        ):
            raise ValueError(f"check {self.name!r} has calls: write {sorted(single)} into them")
        return self

    @model_validator(mode="after")
    def _known_names(self) -> HttpCheck:
        known = {UNIQUE}
        for call in self.sequence:
            self._insist(call, known)
            known |= set(call.extract)
        for call in self.cleanup:
            self._insist(call, known)
        return self

    def _insist(self, call: Request, known: set[str]) -> None:
        unknown = [n for n in call.needed if n not in known and not n.startswith(SECRET)]
        if unknown:
            raise ValueError(
                f"check {self.name!r}: nothing before {call.method} {call.url} gives {unknown}"
            )
