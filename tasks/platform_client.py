"""The platform's client: whether it can be used, and what interrupted imports have left on it."""

from __future__ import annotations

from runbook import check, ensure, fact
from runbook.actions import Work
from runbook.platform.client import Client
from tasks._task import task


@task("find {client}")
def find(client: Client) -> None:
    """Insist on the program, and on the folder for files on their way."""
    settings = client.settings
    fact("client", client)
    check(
        f"{settings.program} can be started on {settings.client}",
        client.is_there,
        hint="Install the platform's client there, or set exports.program to its whole path.",
    )
    check(
        f"{settings.directory} on {settings.client} is there and can be written to",
        client.has_its_folder,
        hint=f"As the client's user: install -d -m 0700 {settings.directory}",
    )


@task("clear what interrupted imports left behind")
def clear(client: Client) -> None:
    """Remove files that an import had laid ready; say which."""
    left = client.leftovers()
    ensure(
        "no interrupted import has left files behind",
        holds=lambda: not client.leftovers(),
        by=[Work(str(client.settings.client), f"rm {' '.join(left)}", client.clear)],
    )
