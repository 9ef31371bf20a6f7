"""The language of procedures, and the world they act on. Knows nothing of Prefect."""

from runbook.goals import Need, approve, check, ensure, fact, note
from runbook.run import step
from runbook.together import together

__all__ = ["Need", "approve", "check", "ensure", "fact", "note", "step", "together"]
