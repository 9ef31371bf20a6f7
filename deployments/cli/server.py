"""The Prefect server that commands without an inventory talk to."""

from __future__ import annotations

from contextlib import ExitStack

_settings = ExitStack()


def reach_server(*, way_round: str = "") -> None:
    """Insist that the server answers: the one of Prefect's settings, or this machine's `up`.

    Without this, Prefect would start a server of its own for the time of the command.
    `way_round` tells people how the command does without one, where it can.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from deployments.reach import insist_on_server
    from deployments.settings import control_room

    url = PREFECT_API_URL.value()
    if not url:
        url = control_room().api
        _settings.enter_context(temporary_settings({PREFECT_API_URL: url}))
    insist_on_server(url, way_round=way_round)
