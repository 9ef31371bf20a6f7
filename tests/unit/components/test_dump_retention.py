"""Retention of dumps, over all inputs; and names, which tell ours from anybody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbook.components.dump import DatabaseDump, Occasion, key, parsed
from runbook.components.retention import OCCASIONS, expendable
from tests.unit.components.pieces import PROPERTIES

_START = datetime(2026, 1, 1, tzinfo=UTC)


def dump(number: int, occasion: Occasion) -> DatabaseDump:
    at = _START + timedelta(minutes=number)
    return DatabaseDump(
        id=f"{at:%Y%m%d%H%M%S}",
        database="component",
        cluster="c",
        node="n",
        role="primary",
        occasion=occasion,
        size=1,
        sha256="0" * 64,
        database_size=1,
        server_version="15.1",
        server_major=15,
        client_version="pg_dump (PostgreSQL) 15.1",
        system_identifier="1",
        properties=PROPERTIES,
        began=at,
        finished=at,
        verified=at,
        seconds=0,
        run_id="r",
    )


@given(
    st.lists(st.tuples(st.sampled_from(OCCASIONS), st.booleans()), max_size=12),
    st.integers(min_value=1, max_value=4),
    st.sampled_from((None, *OCCASIONS)),
)
def test_the_newest_sound_dumps_of_each_occasion_remain(
    made: list[tuple[Occasion, bool]], keep: int, coming: Occasion | None
) -> None:
    dumps = [dump(number, occasion) for number, (occasion, _) in enumerate(made)]
    sound = {one.id for one, (_, is_sound) in zip(dumps, made, strict=True) if is_sound}
    going = {one.id for one in expendable(dumps, keep=keep, sound=sound, coming=coming)}
    for occasion in OCCASIONS:
        mine = [one for one in dumps if one.occasion == occasion]
        whole = [one.id for one in mine if one.id in sound]
        room = keep - (occasion == coming)
        kept = whole[-room:] if room else []
        assert not going & set(kept)
        for one in mine:
            if kept and one.id > kept[0]:
                assert one.id not in going
            elif (kept and one.id < kept[0]) or not room:
                assert one.id in going
            else:
                assert one.id not in going


def test_only_names_of_ours_are_taken_for_dumps() -> None:
    assert parsed(key("auth.v2", "20260101000000", "json")) == ("auth.v2", "20260101000000", "json")
    for name in (
        "component/component-2026.dump",
        "component/other-20260101000000.dump",
        "component/component-20260101000000.dump.gz",
        "component-20260101000000.dump",
        "component/x/component-20260101000000.dump",
    ):
        assert parsed(name) is None
