"""The page of a period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from socket import gethostname

from markupsafe import Markup

from runbook.audit.chain import Finding
from runbook.audit.history import OUTCOMES
from runbook.audit.report.kind import kind
from runbook.audit.report.outcomes import Row, by_name, over_time
from runbook.audit.report.page import written
from runbook.audit.report.period import Period
from runbook.audit.report.run_page import chain_status
from runbook.audit.report.trends import trends

_MOST_ROWS = 24


def period_page(seen: Period, wanted: str, findings: tuple[Finding, ...], told: str) -> str:
    """Write the page; `wanted` says which runs were asked for, `told` what was verified."""
    return written(
        "period.html",
        {
            "seen": seen,
            "wanted": wanted,
            "order": OUTCOMES,
            "pictures": _pictures(seen) if seen.runs else {},
            "trends": trends(
                [(f"{each.cluster}, {each.runbook}", each.taken) for each in seen.trends]
            ),
            "most_rows": _MOST_ROWS,
            "chain": chain_status(findings),
            "findings": findings,
            "told": told,
            "made": datetime.now(UTC).isoformat(),
            "version": version("pg-runbooks"),
            "host": gethostname(),
        },
    )


def _pictures(seen: Period) -> dict[str, Markup]:
    clusters = _most_troubled([(row.name, row.outcomes) for row in seen.clusters])
    runbooks = _most_troubled([(name, outcomes) for name, outcomes, _ in seen.runbooks])
    return {
        "over_time": over_time(seen.columns),
        "clusters": by_name("by-cluster", "Runs by cluster and outcome", clusters),
        "runbooks": by_name("by-runbook", "Runs by runbook and outcome", runbooks),
    }


def _most_troubled(rows: Sequence[Row]) -> Sequence[Row]:
    """Keep those of which most runs went badly or were held, where there are too many to draw."""
    if len(rows) <= _MOST_ROWS:
        return rows

    def trouble(row: Row) -> tuple[int, ...]:
        return tuple(
            sum(count for outcome, count in row[1].items() if kind(outcome) == each)
            for each in ("bad", "held", "good")
        )

    return sorted(rows, key=trouble, reverse=True)[:_MOST_ROWS]
