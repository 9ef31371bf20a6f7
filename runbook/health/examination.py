"""One health check while it is made: the cluster, and what has been found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook.cluster import Cluster
from runbook.health.finding import Finding, Level
from runbook.health.report import counted, worst


@dataclass
class Examination:
    """The findings of one round; `at_once` says that a plan, too, shall look and not only list."""

    cluster: Cluster
    at_once: bool = False
    findings: list[Finding] = field(default_factory=list)

    def keep(self, found: list[Finding]) -> str:
        """Add findings; give how many of each level they are."""
        self.findings += found
        return counted(found) or "nothing to look at"

    @property
    def level(self) -> Level:
        """Give the worst level so far."""
        return worst(self.findings)

    def __str__(self) -> str:
        return str(self.cluster)
