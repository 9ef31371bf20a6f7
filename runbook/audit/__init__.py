"""The audit record: what every run was asked, answered and did, in chains that show any change."""

from runbook.audit.chain import Entry
from runbook.audit.trail import AuditTrail, end_unanswered, read_trail

__all__ = ["AuditTrail", "Entry", "end_unanswered", "read_trail"]
