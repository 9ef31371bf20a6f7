"""The login of Prefect's API: the one that the server asks for, and the one that we have."""

from __future__ import annotations

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING

from runbook.errors import SettingsError

_PAGE = "deployments/access.md"


def login_environment() -> dict[str, str]:
    """Give the login as settings for a child, wherever this process has it from.

    A profile of Prefect lies in its home directory, and the children have another one.
    """
    settings = (PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING)
    return {one.name: value for one in settings if (value := one.value())}


def insist_on_own_login() -> None:
    """Insist that we have the login that a server started here will ask for."""
    asked, ours = PREFECT_SERVER_API_AUTH_STRING.value(), PREFECT_API_AUTH_STRING.value()
    if asked is None or (asked and asked == ours):
        return
    has = "is another one" if ours else "is not set"
    raise SettingsError(
        "the server would ask for a login that worker, runs and command line do not have",
        detail=f"PREFECT_SERVER_API_AUTH_STRING is set, PREFECT_API_AUTH_STRING {has}",
        hint=f"Set both to the same NAME:PASSWORD, in files and not in arguments: {_PAGE}",
    )
