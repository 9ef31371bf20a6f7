"""What a person signs: this decision about this plan in this run, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runbook.ssh_signatures import is_signed, signed

NAMESPACE = "pg-runbooks-approval"


@dataclass(frozen=True)
class Statement:
    """A decision by a person; `plan` is the SHA-256 of the plan, `question` the question's name."""

    run: str
    question: str
    runbook: str
    cluster: str
    plan: str
    decision: str
    approver: str
    reason: str

    def text(self) -> str:
        """Write it down as one line of JSON under a title, as it is signed."""
        told = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return f"pg-runbooks approval\n{told}\n"

    def signed_by(self, key: Path) -> str:
        """Give the signature of a person's key; CommandFailed when it cannot sign."""
        return signed(self.text(), key, NAMESPACE)

    def is_signed(self, signature: str, keys: tuple[str, ...]) -> bool:
        """Tell whether one of the keys signed exactly this."""
        return is_signed(self.text(), signature, keys, NAMESPACE)
