"""A period as a reviewer reads it: runs and outcomes, backups, drills, people, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from runbook.audit.past_run import PastRun, SeenBackup
from runbook.units import readable_bytes
from runbook.user import SCHEDULE

_MISSED = timedelta(hours=36)
_GRACE = timedelta(hours=1)
"""A backup that begins some minutes later than the night before is not a missed one."""
_MOST_ROWS = 200
_MOST_TRENDS = 12
_BAD = frozenset({"failed", "cut off", "interrupted"})
_DRILLS = frozenset({"restored", "verified"})
_BACKUPS = frozenset(
    f"{what}-backup"
    for what in ("base", "logical", "managed", "component", "orchestrator", "platform")
)
"""What a night is missed of that never came to its end; of others the record names no backup."""


@dataclass(frozen=True)
class Gap:
    """A time in which a cluster got no backup of a kind, and what was allowed."""

    cluster: str
    runbook: str
    since: str
    until: str
    hours: float
    allowed: float
    by_objective: bool


@dataclass(frozen=True)
class ClusterRow:
    """The runs of a cluster, by outcome, and its backups."""

    name: str
    outcomes: Counter[str]
    runs: int
    backups: int
    newest: str
    size: str
    drills: int


@dataclass(frozen=True)
class Trend:
    """The backups that a runbook took of a cluster, and when its runs began."""

    cluster: str
    runbook: str
    taken: tuple[tuple[datetime, SeenBackup], ...]


@dataclass(frozen=True)
class PersonRow:
    """How often a person asked, approved and refused."""

    name: str
    asked: int
    approved: int
    refused: int


@dataclass(frozen=True)
class Listed:
    """Rows of a long list, and how many there are."""

    rows: tuple[PastRun, ...]
    count: int


@dataclass(frozen=True)
class Period:
    """Everything that the page of a period shows."""

    since: str
    until: str
    runs: int
    outcomes: Counter[str]
    columns: tuple[tuple[str, Counter[str]], ...]
    """Runs by outcome of each day, week or month."""
    clusters: tuple[ClusterRow, ...]
    runbooks: tuple[tuple[str, Counter[str], int], ...]
    trends: tuple[Trend, ...]
    trends_left_out: int
    gaps: tuple[Gap, ...]
    people: tuple[PersonRow, ...]
    budgets: Counter[bool]
    """Restores that were judged against the cluster's objectives, by whether these were kept."""
    drills: Listed
    restores: Listed
    emergencies: Listed
    refusals: Listed
    failures: Listed


def period(runs: Sequence[PastRun], since: datetime, until: datetime) -> Period:
    """Sum up the runs of a period, which begin in it and come in order."""
    by_cluster: dict[str, list[PastRun]] = defaultdict(list)
    for run in runs:
        by_cluster[run.cluster].append(run)
    names = sorted(by_cluster)
    taken = {name: [r for r in by_cluster[name] if _took(r)] for name in names}
    series = [(name, *each) for name in names for each in _series(taken[name])]
    drawn = [each for each in series if len(each[2]) > 1]
    return Period(
        since=f"{since:%Y-%m-%d}",
        until=f"{until - timedelta(seconds=1):%Y-%m-%d}",
        runs=len(runs),
        outcomes=Counter(run.outcome for run in runs),
        columns=tuple(_columns(runs, since, until)),
        clusters=tuple(_cluster(name, by_cluster[name], taken[name]) for name in names),
        runbooks=tuple(_runbooks(runs)),
        trends=tuple(_trend(*each) for each in drawn[:_MOST_TRENDS]),
        trends_left_out=len(drawn[_MOST_TRENDS:]),
        gaps=tuple(_all_gaps(by_cluster, taken, until)),
        people=tuple(_people(runs)),
        budgets=Counter(run.kept for run in runs if run.kept is not None and not _found_done(run)),
        drills=_listed(run for run in runs if _role(run) == "verified"),
        restores=_listed(run for run in runs if _role(run) == "restored"),
        emergencies=_listed(run for run in runs if run.emergency),
        refusals=_listed(run for run in runs if run.outcome in ("refused", "not answered")),
        failures=_listed(run for run in runs if run.outcome in _BAD),
    )


def _took(run: PastRun) -> bool:
    return run.backup is not None and run.backup.role == "taken"


def _series(taken: Sequence[PastRun]) -> Iterator[tuple[str, Sequence[PastRun]]]:
    """Tell backups apart by their runbook: a nightly dump of one kind is no backup of another."""
    found: dict[str, list[PastRun]] = defaultdict(list)
    for run in taken:
        found[run.runbook].append(run)
    yield from sorted(found.items())


def _all_gaps(
    runs: Mapping[str, Sequence[PastRun]], taken: Mapping[str, Sequence[PastRun]], until: datetime
) -> Iterator[Gap]:
    """Look through what is scheduled by itself; a cluster without a schedule as a whole.

    Scheduled is what the schedule has asked for, also where it never came to a backup: that is
    missed since the first run of the cluster in the period.
    """
    for name in sorted(runs):
        of_it = dict(_series(taken[name]))
        asked = {run.runbook for run in runs[name] if run.requested_by == SCHEDULE}
        for runbook in sorted(asked & {*of_it, *_BACKUPS}):
            began = [runs[name][0].began, *(run.began for run in of_it.get(runbook, ()))]
            yield from _gaps(runbook, runs[name], began, until)
        if not asked & {*of_it, *_BACKUPS}:
            yield from _gaps("", runs[name], [run.began for run in taken[name]], until)


def _columns(
    runs: Sequence[PastRun], since: datetime, until: datetime
) -> list[tuple[str, Counter[str]]]:
    """Count by day, week or month, so that there are neither one nor a hundred columns."""
    days = (until - since).days
    counts: dict[date, Counter[str]] = {}
    day = since.date()
    while day < until.date():
        counts.setdefault(_span(day, days), Counter())
        day += timedelta(days=1)
    for (began, outcome), count in Counter((run.began[:10], run.outcome) for run in runs).items():
        counts.setdefault(_span(date.fromisoformat(began), days), Counter())[outcome] += count
    form = "%Y-%m" if days > 200 else "%m-%d"
    return [(f"{span:{form}}", counts[span]) for span in sorted(counts)]


def _span(day: date, days: int) -> date:
    if days > 200:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if days > 45 else day


def _cluster(name: str, runs: Sequence[PastRun], taken: Sequence[PastRun]) -> ClusterRow:
    newest = taken[-1].backup if taken else None
    return ClusterRow(
        name=name,
        outcomes=Counter(run.outcome for run in runs),
        runs=len(runs),
        backups=len(taken),
        newest=f"{newest.finished[:16].replace('T', ' ')} {taken[-1].runbook}"
        if newest
        else "none",
        size=readable_bytes(newest.size) if newest else "",
        drills=sum(_role(run) in _DRILLS for run in runs),
    )


def _role(run: PastRun) -> str:
    """Tell what became of its backup; a restore that was found done is not made once more."""
    return run.backup.role if run.backup and not _found_done(run) else ""


def _found_done(run: PastRun) -> bool:
    is_restore = run.backup is not None and run.backup.role == "restored"
    return is_restore and run.outcome == "nothing to do"


def _runbooks(runs: Sequence[PastRun]) -> Iterator[tuple[str, Counter[str], int]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        found[run.runbook][run.outcome] += 1
    for name in sorted(found, key=lambda name: -found[name].total()):
        yield name, found[name], found[name].total()


def _trend(name: str, runbook: str, taken: Sequence[PastRun]) -> Trend:
    seen = ((datetime.fromisoformat(run.began), run.backup) for run in taken)
    return Trend(name, runbook, tuple((began, backup) for began, backup in seen if backup))


def _gaps(
    runbook: str, runs: Sequence[PastRun], began: Sequence[str], until: datetime
) -> Iterator[Gap]:
    """Name the times between two moments, and since the last, that are longer than allowed.

    Allowed is the recovery point objective that the newest restore was judged by, else a night.
    """
    budgets = [run.recovery_point_budget for run in runs if run.recovery_point_budget is not None]
    allowed = timedelta(seconds=budgets[-1]) + _GRACE if budgets else _MISSED
    hours = allowed.total_seconds() / 3600
    ends = [*began[1:], min(until, datetime.now(UTC)).isoformat()] if began else []
    for before, after in zip(began, ends, strict=True):
        apart = datetime.fromisoformat(after) - datetime.fromisoformat(before)
        if apart > allowed:
            lasted = apart.total_seconds() / 3600
            cluster, objective = runs[0].cluster, bool(budgets)
            yield Gap(cluster, runbook, before[:16], after[:16], lasted, hours, objective)


def _people(runs: Sequence[PastRun]) -> Iterator[PersonRow]:
    asked = Counter(run.requested_by for run in runs)
    answers = [answer for run in runs for answer in run.answers]
    approved = Counter(each.approver for each in answers if each.decision == "approve")
    refused = Counter(each.approver for each in answers if each.decision == "refuse")
    for name in sorted({*asked, *approved, *refused}):
        yield PersonRow(name, asked[name], approved[name], refused[name])


def _listed(runs: Iterable[PastRun]) -> Listed:
    """Keep the newest."""
    found = list(runs)
    return Listed(tuple(reversed(found[-_MOST_ROWS:])), len(found))
