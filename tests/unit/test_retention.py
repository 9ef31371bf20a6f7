"""Whatever is asked, the newest verified, self-contained backups remain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbook.backups.backup import Backup, backup_id
from runbook.backups.retention import expendable
from runbook.units import Lsn

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def backup(age_minutes: int, *, self_contained: bool) -> Backup:
    at = NOW - timedelta(minutes=age_minutes)
    return Backup(
        id=backup_id(at),
        cluster="shop",
        node="db1",
        made_by="fast",
        system_identifier="1",
        server_version="15",
        timeline=1,
        start_lsn=Lsn("0/1"),
        stop_lsn=Lsn("0/2"),
        objects=(),
        data_size=1,
        compression="none",
        self_contained=self_contained,
        manifest_checksum="x",
        began=at,
        finished=at,
        verified=at,
        seconds=1,
        run_id="r",
    )


ages = st.dictionaries(
    st.integers(-500, 60 * 24 * 40), st.tuples(st.booleans(), st.booleans()), max_size=25
)


@given(ages, st.integers(-3, 10), st.integers(-3, 40))
def test_the_newest_sound_backups_always_remain(
    found: dict[int, tuple[bool, bool]], keep: int, keep_days: int
) -> None:
    backups = [backup(age, self_contained=whole) for age, (whole, _) in found.items()]
    damaged = frozenset(
        backup(age, self_contained=True).id for age, (_, bad) in found.items() if bad
    )
    going = expendable(backups, keep=keep, keep_days=keep_days, now=NOW, damaged=damaged)
    sound = sorted(
        (b for b in backups if b.self_contained and b.id not in damaged), key=lambda b: b.finished
    )
    remaining = {b.id for b in backups} - {b.id for b in going}
    assert {b.id for b in sound[-max(1, keep) :]} <= remaining
    young = NOW - timedelta(days=max(keep_days, 0))
    assert all(b.finished < young for b in going)
    if not sound:
        assert not going


@given(ages, st.integers(1, 10))
def test_what_the_rule_no_longer_keeps_goes(found: dict[int, tuple[bool, bool]], keep: int) -> None:
    backups = [backup(age, self_contained=True) for age in found]
    past = [b for b in backups if b.finished < NOW]
    going = expendable(past, keep=keep, keep_days=0, now=NOW)
    assert len(going) == max(0, len(past) - keep)
