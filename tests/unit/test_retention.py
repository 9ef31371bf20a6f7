"""Whatever is asked, the newest verified, self-contained backups remain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbook.backups.backup import Backup, backup_id
from runbook.backups.retention import expendable
from runbook.units import Lsn

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def backup(age_minutes: int, *, self_contained: bool, system: str = "1") -> Backup:
    at = NOW - timedelta(minutes=age_minutes)
    return Backup(
        id=backup_id(at),
        cluster="shop",
        node="db1",
        made_by="fast",
        system_identifier=system,
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


systems = st.dictionaries(
    st.integers(0, 60 * 24 * 40),
    st.tuples(st.sampled_from("123"), st.booleans(), st.booleans()),
    max_size=25,
)


@given(systems, st.integers(1, 5), st.integers(0, 40))
def test_each_database_system_keeps_its_own_newest(
    found: dict[int, tuple[str, bool, bool]], keep: int, keep_days: int
) -> None:
    made = {
        age: backup(age, self_contained=whole, system=system)
        for age, (system, whole, _) in found.items()
    }
    damaged = frozenset(made[age].id for age, (_, _, bad) in found.items() if bad)
    rule = {"keep": keep, "keep_days": keep_days}
    backups = list(made.values())
    going = expendable(backups, **rule, now=NOW, damaged=damaged)
    alone = [
        each
        for system in "123"
        for each in expendable(
            [b for b in backups if b.system_identifier == system], **rule, now=NOW, damaged=damaged
        )
    ]
    assert list(going) == sorted(alone, key=lambda b: b.finished)


def test_a_server_that_was_made_anew_pushes_out_no_backup_of_before() -> None:
    before = [backup(age, self_contained=True, system="old") for age in (9000, 8000, 7000)]
    empty = [backup(age, self_contained=True, system="new") for age in range(10, 100, 10)]
    going = expendable([*before, *empty], keep=2, keep_days=0, now=NOW)
    assert [b.id for b in going if b.system_identifier == "old"] == [before[0].id]


def test_a_former_system_s_backups_go_together_where_it_is_named() -> None:
    before = [backup(age, self_contained=True, system="old") for age in (9000, 8000, 7000)]
    after = [backup(age, self_contained=True, system="new") for age in (100, 50)]
    going = expendable([*before, *after], keep=2, keep_days=30, now=NOW, former="old")
    assert list(going) == before
