"""Objectives: how they are written, and how a measured time stands to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from runbook.objectives import RECOVERY_POINT, RECOVERY_TIME, Objectives, figures


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("15min", timedelta(minutes=15)),
        ("1h 30 min", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("PT4H", timedelta(hours=4)),
    ],
)
def test_a_time_is_written_with_postgresqls_units_or_as_iso_8601(
    written: str, means: timedelta
) -> None:
    objectives = Objectives.model_validate({"rto": written})
    assert objectives.rto == means
    assert Objectives.model_validate_json(objectives.model_dump_json()) == objectives


@pytest.mark.parametrize("written", ["0s", "soon", "15", "-1h", "15 minutes"])
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        Objectives.model_validate({"rto": written})


def test_a_measured_time_is_kept_or_exceeded() -> None:
    objectives = Objectives(rto=timedelta(minutes=15), rpo=timedelta(hours=24))
    inside = objectives.judged(RECOVERY_TIME, 900.0)
    assert (inside.kept, inside.judgement) == (True, "kept: 15 min allowed")
    outside = objectives.judged(RECOVERY_POINT, 25.5 * 3600)
    assert (outside.kept, outside.judgement) == (
        False,
        "exceeded by 1 h 30 min: 24 h allowed",
    )


def test_what_has_no_objective_is_not_judged() -> None:
    free = Objectives().judged(RECOVERY_TIME, 12.0)
    assert (free.kept, free.judgement, str(free)) == (True, "", "12 s")
    assert dict(free.remembered) == {"recovery time seconds": 12.0}


def test_the_end_of_a_record_gives_the_figures_back() -> None:
    judged = Objectives(rto=timedelta(minutes=1)).judged(RECOVERY_TIME, 61.0)
    measured = {name.removesuffix(" seconds"): value for name, value in judged.remembered.items()}
    assert list(figures({**measured, "redundancy": 70.0})) == [
        judged,
        *figures({"redundancy": 70.0}),
    ]
    assert list(figures(None)) == []
