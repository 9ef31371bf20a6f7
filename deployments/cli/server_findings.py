"""Does the Prefect server ask everybody for a login, and do its nights run?"""

from __future__ import annotations

from collections.abc import Iterator

from deployments.cli.finding import Finding


def server_findings() -> Iterator[Finding]:
    """Ask the API of the settings, or of this machine's `up`, first without any credentials."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from deployments.cli.night_findings import night_findings
    from deployments.openness import openness
    from deployments.settings import control_room

    api = PREFECT_API_URL.value() or control_room().api
    seen = openness(api)
    yield Finding("access", seen.message, True, seen.seen, seen.hint, seen.gravity)
    if any(answer.status for answer in seen.answers):
        with temporary_settings({PREFECT_API_URL: api}):
            yield from night_findings()
