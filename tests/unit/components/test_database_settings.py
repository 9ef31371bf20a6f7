"""What an application keeps in the settings of its database is shown to nobody."""

from __future__ import annotations

from pathlib import Path

from runbook.components import statements
from runbook.components.properties import DatabaseSetting
from runbook.run import Mode, opened
from tests.unit.components import pieces


def test_a_setting_of_an_application_is_in_no_plan_and_in_no_argv(tmp_path: Path) -> None:
    job = pieces.restore(pieces.catalogue(tmp_path), tmp_path)
    with opened(pieces.run(Mode.PLAN)):
        dress = job._dressing("component_incoming_1")
    assert 'SET "app"."jwt_secret" TO \'***\'' in str(dress).replace("'\"'\"'", "'")
    assert "SET \"work_mem\" TO '9MB'" in str(dress).replace("'\"'\"'", "'")
    told = (str(dress), repr(dress), dress.command.argv, dress.command.env, str(dress.command))
    assert not [one for one in told if "hunter2" in str(one)]
    assert "hunter2" in dress.command.stdin


def test_without_a_mask_the_value_itself_is_set() -> None:
    lines = statements.dressing("component", pieces.PROPERTIES)
    assert lines[-2].endswith('SET "app"."jwt_secret" TO \'hunter2\'')


def test_a_setting_that_differs_is_named_without_its_value() -> None:
    other = (DatabaseSetting(role="", text="app.jwt_secret=hunter3"), pieces.PROPERTIES.settings[1])
    seen = pieces.PROPERTIES.model_copy(update={"settings": other, "comment": "x"})
    assert seen.differences(pieces.PROPERTIES) == (
        "comment: 'x', wanted ''",
        "setting app.jwt_secret",
    )
    assert pieces.PROPERTIES.differences(pieces.PROPERTIES) == ()
