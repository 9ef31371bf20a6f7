"""The audit record: what every run was asked, answered and did, in chains that show any change."""

from runbook.audit.chain import Entry
from runbook.audit.trail import AuditTrail, end_unanswered, ends_waiting, read_trail

__all__ = ["AuditTrail", "Entry", "end_unanswered", "ends_waiting", "read_trail"]
