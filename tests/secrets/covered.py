"""Which runbooks run here with marker secrets, and where."""

from __future__ import annotations

SINGLE_INSTANCE = frozenset(
    {
        "adopt",
        "backup-key",
        "base-backup",
        "component-backup",
        "component-restore",
        "discard-aside",
        "export-all",
        "health-check",
        "installation-files-backup",
        "instance-restore",
        "instance-restore-undo",
        "job-export",
        "job-import",
        "logical-backup",
        "managed-backup",
        "managed-restore",
        "orchestrator-backup",
        "orchestrator-restore",
        "package-export",
        "package-import",
        "platform-backup",
        "policy-export",
        "policy-import",
        "prune",
        "verify-backup",
        "verify-logical-backup",
    }
)
PAIR = frozenset({"standby-setup", "traffic", "health-check"})
REPMGR_CLUSTER = frozenset(
    {
        "base-backup",
        "cluster-restore",
        "discard-databases",
        "health-check",
        "logical-backup",
        "logical-recovery",
        "promotion",
        "rejoin",
        "standby-rebuild",
    }
)
CONTROL_ROOM = frozenset({"base-backup", "health-check", "instance-restore"})
