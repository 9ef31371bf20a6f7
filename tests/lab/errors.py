"""Say what a lab could not do, and what to do about it."""

from __future__ import annotations

import os


class LabError(RuntimeError):
    """A lab cannot be built or used; the hint is what to do next."""

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        lines = [f"ERROR: {message}"]
        lines += [f"DETAIL: {detail}"] if detail else []
        lines += [f"HINT: {hint}"] if hint else []
        super().__init__("\n".join(lines))


def require_root() -> None:
    """Raise LabError unless run as root."""
    if os.getuid() != 0:
        raise LabError(
            "the labs need root: they log in as root and as postgres, and mount file systems",
            hint="Run as root, or in a container; `make test-unit` needs no lab.",
        )
