"""Does the Prefect server ask everybody for a login?"""

from __future__ import annotations

from collections.abc import Iterator

from deployments.cli.finding import Finding


def server_findings() -> Iterator[Finding]:
    """Ask the API of the settings, or of this machine's `up`, without any credentials."""
    from prefect.settings import PREFECT_API_URL

    from deployments.openness import openness
    from deployments.settings import control_room

    seen = openness(PREFECT_API_URL.value() or control_room().api)
    yield Finding("access", seen.message, True, seen.seen, seen.hint, seen.gravity)
