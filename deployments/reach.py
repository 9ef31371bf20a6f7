"""Whether the Prefect server answers, and lets us in."""

from __future__ import annotations

import time
from collections.abc import Callable

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING

from runbook.errors import Unreachable

_LOOK_SECONDS = 0.2
_REFUSED = {401, 403}


def insist_on_server(
    url: str,
    *,
    patience: float = 0.0,
    given_up: Callable[[], bool] = lambda: False,
    way_round: str = "",
) -> None:
    """Insist on the server of Prefect's settings, which is at `url`; wait so long for it.

    `way_round` tells people how to do without one, where that can be.

    Without this, Prefect's client would end with a traceback of its own.
    """
    until = time.monotonic() + patience
    with get_client(sync_client=True) as client:
        while (wrong := client.api_healthcheck()) is not None:
            _insist_on_welcome(wrong, url)
            if given_up() or time.monotonic() >= until:
                raise Unreachable(
                    f"no Prefect server answers at {url}",
                    detail=f"{type(wrong).__name__}: {wrong}",
                    hint="Start it with `pg-runbooks up`, or set PREFECT_API_URL"
                    f"{f', or {way_round}' if way_round else ''}.",
                )
            time.sleep(_LOOK_SECONDS)
        _insist_on_entry(client, url)


def _insist_on_entry(client: SyncPrefectClient, url: str) -> None:
    """Ask something that needs a login, which Prefect's own health check does not."""
    try:
        client.hello()
    except PrefectHTTPStatusError as error:
        _insist_on_welcome(error, url)
        raise


def _insist_on_welcome(wrong: Exception, url: str) -> None:
    """Tell apart that a server, or a proxy before it, is there and does not let us in."""
    if not isinstance(wrong, PrefectHTTPStatusError) or wrong.response.status_code not in _REFUSED:
        return
    given = "the one that is set here" if PREFECT_API_AUTH_STRING.value() else "none"
    raise Unreachable(
        f"the Prefect server at {url} does not let us in",
        detail=f"HTTP {wrong.response.status_code}; PREFECT_API_AUTH_STRING: {given}",
        hint="Set PREFECT_API_AUTH_STRING to what the server has as "
        "PREFECT_SERVER_API_AUTH_STRING: deployments/access.md",
    ) from None
