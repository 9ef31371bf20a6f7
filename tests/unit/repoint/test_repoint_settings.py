"""Settings of an application that cannot be used are refused when they are read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runbook.apps import App

COMPOSE = {"kind": "docker-compose", "file": "/opt/apio/docker-compose.yml"}
COMMANDS = {
    "kind": "commands",
    "start_command": ["start"],
    "stop_command": ["stop"],
    "running_command": ["status"],
}


def app(managed_by: dict[str, object], **variable: str) -> App:
    return App.model_validate(
        {
            "name": "apio",
            "host": {"name": "one"},
            "managed_by": managed_by,
            "database": [{"variable": "DATABASE_URL", **variable}],
        }
    )


@pytest.mark.parametrize(
    ("managed_by", "variable"),
    [
        (COMPOSE, {}),
        (COMPOSE, {"service": "core", "file": "/etc/x"}),
        (COMPOSE, {"service": "core", "variable": "not a name"}),
        (COMPOSE, {"service": "core", "holds": "everything"}),
        (COMMANDS, {}),
        (COMMANDS, {"file": "relative.env"}),
        (COMMANDS, {"file": "/etc/x", "service": "core"}),
    ],
)
def test_a_variable_without_a_place_of_its_own_is_refused(
    managed_by: dict[str, object], variable: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        app(managed_by, **variable)


def test_volumes_stay_unless_the_settings_say_otherwise() -> None:
    keeping = app(COMPOSE, service="core")
    removing = app({**COMPOSE, "remove_volumes": True}, service="core")
    shown = [
        [str(action) for action in one.managed_by.stopping_for_promotion(one.host)]
        for one in (keeping, removing)
    ]
    assert not any("down" in line for line in shown[0])
    assert shown[1][-1].endswith("down -v")
