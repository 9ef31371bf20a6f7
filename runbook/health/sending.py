"""Sends one declared call, its placeholders filled."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import httpx

from runbook.health.call import Basic, Bearer, Request
from runbook.health.placeholders import filled, filled_within

_LONGEST_ANSWER = 8 * 1024 * 1024


def sent(client: httpx.Client, call: Request, values: Mapping[str, str]) -> httpx.Response:
    """Send a call and read its answer, at most 8 MB of it; httpx.HTTPError when there is none."""
    url = filled(call.url, values, lambda value: quote(value, safe=""))
    headers = {name: filled(value, values) for name, value in call.headers.items()}
    auth: httpx.Auth | None = None
    if isinstance(call.auth, Basic):
        auth = httpx.BasicAuth(call.auth.user, filled(call.auth.password, values))
    elif isinstance(call.auth, Bearer):
        headers["Authorization"] = f"Bearer {filled(call.auth.token, values)}"
    request = client.build_request(
        call.method,
        url,
        headers=headers,
        json=None if call.json_body is None else filled_within(call.json_body, values),
        data={name: filled(value, values) for name, value in call.form_body.items()} or None,
        timeout=call.timeout,
    )
    response = client.send(request, auth=auth, stream=True)
    try:
        return _read(response)
    finally:
        response.close()


def _read(response: httpx.Response) -> httpx.Response:
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LONGEST_ANSWER:
            raise httpx.DecodingError(f"the answer is longer than {_LONGEST_ANSWER} bytes")
    return httpx.Response(
        response.status_code,
        headers=[(k, v) for k, v in response.headers.multi_items() if k != "content-encoding"],
        content=content,
    )
