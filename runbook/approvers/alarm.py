"""Telling people at once: an emergency approval, a locked person."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from runbook.watch import log

_PATIENCE_SECONDS = 5.0


def ring(addresses: Sequence[str], run: str, text: str) -> dict[str, str]:
    """Log a text as critical, POST it as JSON to every address, and tell what each answered.

    Nothing waits for an address that does not answer: the emergency goes on.
    """
    log.critical("%s (run %s)", text, run)
    told = {
        "text": text,
        "run": run,
        "host": socket.gethostname(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {urlsplit(address).netloc: _posted(address, told) for address in addresses}


def _posted(address: str, told: dict[str, str]) -> str:
    try:
        answer = httpx.post(address, json=told, timeout=_PATIENCE_SECONDS)
    except httpx.HTTPError as error:
        log.error("the alarm at %s was not heard: %s", urlsplit(address).netloc, error)
        return f"not heard: {type(error).__name__}"
    return str(answer.status_code)
