"""Whether Prefect's API answers without a login, and who can reach it then."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Literal

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_CLIENT_CUSTOM_HEADERS,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from deployments.listeners import listening

_PATIENCE_SECONDS = 5.0
_PAGE = "deployments/access.md"
_REFUSALS = {301, 302, 303, 307, 308, 401, 403, 407}

Gravity = Literal["", "note", "warning"]


@dataclass(frozen=True)
class Answer:
    """What an address of the API said to somebody without a login; status 0: nothing at all."""

    address: str
    status: int
    let_in: bool

    @cached_property
    def is_beyond(self) -> bool:
        """Tell whether other machines can reach the address."""
        return not _is_loopback(httpx.URL(self.address).host)


@dataclass(frozen=True)
class Openness:
    """The answers of all addresses of one API."""

    answers: tuple[Answer, ...]

    @property
    def beyond(self) -> tuple[str, ...]:
        """Give the addresses that let anybody in who is on the network."""
        return tuple(one.address for one in self.answers if one.let_in and one.is_beyond)

    @property
    def here(self) -> tuple[str, ...]:
        """Give the addresses that let in every user of this machine."""
        return tuple(one.address for one in self.answers if one.let_in and not one.is_beyond)

    @property
    def gravity(self) -> Gravity:
        """Tell how much this matters."""
        if self.beyond:
            return "warning"
        return "note" if self.here or not self.is_closed else ""

    @property
    def is_closed(self) -> bool:
        """Tell whether the API has answered, and has let nobody in."""
        return not (self.beyond or self.here) and any(
            one.status in _REFUSALS for one in self.answers
        )

    @property
    def message(self) -> str:
        """Say it in one line."""
        if self.beyond:
            return (
                f"the Prefect API at {', '.join(self.beyond)} asks nobody for a login: whoever "
                "reaches it over the network can order, approve and delete runs, and read the "
                "secrets of blocks"
            )
        if self.here:
            return (
                "the Prefect API asks nobody for a login: every user of this machine can order, "
                "approve and delete runs, and read the secrets of blocks"
            )
        if self.is_closed:
            return "the Prefect API asks for a login"
        return "whether the Prefect API asks for a login could not be seen"

    @property
    def seen(self) -> str:
        """Say what each address has answered."""
        return ", ".join(
            f"{one.address}: {f'HTTP {one.status}' if one.status else 'no answer'}"
            for one in self.answers
        )

    @property
    def hint(self) -> str:
        """Say what to do about it."""
        if self.beyond:
            return f"Let it listen on 127.0.0.1 only, or give it a login: {_PAGE}"
        return f"Give it a login: {_PAGE}" if self.here else ""


def openness(api: str) -> Openness:
    """Ask the API without any credentials, at every address that it is known to have.

    These are `api` itself, the address that browsers are told, and, where `api` is on loopback,
    whatever else this machine listens on at the same port.
    """
    addresses = dict.fromkeys((api, *_more_listeners(api), *_told_to_browsers()))
    return Openness(tuple(_ask(address) for address in addresses))


def _ask(address: str) -> Answer:
    """Ask what needs a login, which a health check does not, and follow nobody to a login page."""
    plain = {PREFECT_CLIENT_CUSTOM_HEADERS: {}, PREFECT_CLIENT_MAX_RETRIES: 1}
    how = {"follow_redirects": False, "timeout": _PATIENCE_SECONDS}
    with temporary_settings(plain), SyncPrefectClient(address, httpx_settings=how) as client:
        try:
            said = client.hello()
        except PrefectHTTPStatusError as error:
            return Answer(address, error.response.status_code, let_in=False)
        except httpx.HTTPError:
            return Answer(address, 0, let_in=False)
    is_api = said.headers.get("content-type", "").startswith("application/json")
    return Answer(address, said.status_code, let_in=is_api)


def _told_to_browsers() -> tuple[str, ...]:
    """Give PREFECT_SERVER_UI_API_URL where somebody has set it; its default is a guess."""
    ui = get_current_settings().server.ui
    given = ui.api_url if "api_url" in ui.model_fields_set else None
    return (given,) if given and httpx.URL(given).is_absolute_url else ()


def _more_listeners(api: str) -> tuple[str, ...]:
    url = httpx.URL(api)
    if url.port is None or not _is_loopback(url.host):
        return ()
    return tuple(
        str(url.copy_with(host=str(address)))
        for address in listening(url.port)
        if not address.is_loopback
    )


def _is_loopback(host: str) -> bool:
    """Tell whether a name or address leads to this machine alone."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ip_address(one.partition("%")[0]).is_loopback for one in found)
