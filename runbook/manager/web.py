"""A web service over HTTPS: questions are asked again, orders are given once."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from runbook.errors import CheckFailed, RunbookError, SettingsError, Unreachable
from runbook.stores.patience import Transient, patiently

_LONGEST_ANSWER = 32 * 1024 * 1024
_SHOWN = 300


class NotUnderstood(RunbookError):
    """A service answered something that its written page does not know."""


class Unclear(RunbookError):
    """An order was sent and its answer is lost: whether it was accepted must be looked up."""


class _Unsent(Transient):
    """Nobody listened, so nothing was sent."""


class _Doubtful(Transient):
    """The answer is missing or comes from something in between."""


@dataclass(frozen=True)
class Answer:
    """What a service answered: the status, and the body as text."""

    status: int
    text: str


@dataclass(frozen=True)
class WebService:
    """A service: its URL, who may speak for it, and how patiently it is asked.

    `authorization` is sent as the header of that name; `password` goes with `user` as basic
    authentication. Redirects are not followed: they would carry both to another place.
    """

    name: str
    url: str
    certificate_authority: str = ""
    user: str = ""
    password: SecretStr = field(default=SecretStr(""), repr=False)
    authorization: SecretStr = field(default=SecretStr(""), repr=False)
    timeout: float = 30.0
    patience: float = 60.0

    def ask(self, path: str) -> object:
        """Read JSON, again and again while the service is away; Unreachable when it stays so."""
        return self._json(self._patiently("GET", path), path)

    def ask_once(self, path: str) -> object:
        """Read JSON in one try; Unreachable when the service is away."""
        try:
            return self._json(self._sent("GET", path), path)
        except Transient as error:
            raise self._away("GET", path, error) from error

    def order(self, path: str, form: Mapping[str, str]) -> object:
        """POST a form once; Unclear when nobody knows whether it was accepted.

        Only where nobody listened, so that nothing was sent, it is tried again.
        """
        try:
            answer = patiently(
                f"POST {self.url}{path}", lambda: self._ordered(path, form), self.patience
            )
        except Unreachable as error:
            raise self._away("POST", path, error.detail) from error
        try:
            return self._json(answer, path)
        except NotUnderstood as error:
            raise Unclear(error.message, detail=error.detail, hint=error.hint) from error

    def put_right(self, path: str, body: Mapping[str, str]) -> None:
        """PATCH: the same twice is the same once, so it is sent again until it is answered."""
        self._patiently("PATCH", path, body=body)

    def _patiently(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Answer:
        what = f"{method} {self.url}{path}"
        try:
            return patiently(what, lambda: self._sent(method, path, body=body), self.patience)
        except Unreachable as error:
            raise self._away(method, path, error.detail) from error

    def _ordered(self, path: str, form: Mapping[str, str]) -> Answer:
        try:
            return self._sent("POST", path, form=form)
        except _Doubtful as error:
            raise Unclear(
                f"{self.name} has not said whether it accepted the order",
                detail=f"POST {self.url}{path}: {error}",
                hint="Start the runbook again: it looks first whether the order has arrived.",
            ) from error

    def _sent(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and judge its status; _Unsent or _Doubtful where trying again may help."""
        auth = httpx.BasicAuth(self.user, self.password.get_secret_value()) if self.user else None
        try:
            with httpx.Client(verify=self._context(), trust_env=False) as client:
                request = client.build_request(
                    method,
                    self.url.rstrip("/") + path,
                    headers=self._headers(),
                    data=dict(form) if form is not None else None,
                    json=dict(body) if body is not None else None,
                    timeout=self.timeout,
                )
                answer = self._read(client.send(request, auth=auth, stream=True))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._insist_on_trust(error)
            raise _Unsent(f"no connection: {error}") from error
        except httpx.HTTPError as error:
            raise _Doubtful(self.masked(f"{type(error).__name__}: {error}")) from error
        self._judge(method, path, answer)
        return answer

    def _headers(self) -> dict[str, str]:
        authorization = self.authorization.get_secret_value()
        more = {"Authorization": authorization} if authorization else {}
        return {"Accept": "application/json", **more}

    def _read(self, response: httpx.Response) -> Answer:
        """Read the body: no more than a bound, and no longer than a patience."""
        until, content = time.monotonic() + 10 * self.timeout, b""
        try:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _LONGEST_ANSWER or time.monotonic() > until:
                    raise httpx.DecodingError("the answer does not come to an end")
        finally:
            response.close()
        return Answer(response.status_code, content.decode(errors="replace"))

    def _judge(self, method: str, path: str, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        said = f"{method} {self.url}{path}: {status}: {self.excerpt(answer.text)}"
        if status >= 500 or status == 429:
            raise _Doubtful(said)
        if status in (401, 403):
            raise CheckFailed(
                f"{self.name} does not accept the credentials",
                detail=said,
                hint="Correct user and password, or the token, in the cluster's settings.",
            )
        raise CheckFailed(
            f"{self.name} does not do what it was asked",
            detail=said,
            hint="Is the URL right, and does the service know the instance?",
        )

    def _json(self, answer: Answer, path: str) -> object:
        try:
            tree: object = json.loads(answer.text)
        except ValueError as error:
            raise NotUnderstood(
                f"{self.name} answered something that is not JSON",
                detail=f"{self.url}{path}: {self.excerpt(answer.text) or 'nothing'}",
                hint="Does the URL lead to the service itself, and to no portal before it?",
            ) from error
        return tree

    def excerpt(self, text: str) -> str:
        """Give the beginning of an answer for an error, in one line, without secrets."""
        flat = " ".join(self.masked(text).split())
        return flat if len(flat) <= _SHOWN else f"{flat[:_SHOWN]}…"

    def masked(self, text: str) -> str:
        """Hide the secrets that a service may send back."""
        password = self.password.get_secret_value()
        pair = base64.b64encode(f"{self.user}:{password}".encode()).decode() if password else ""
        for secret in (self.authorization.get_secret_value(), pair, password):
            if secret:
                text = text.replace(secret, "***").replace(json.dumps(secret)[1:-1], "***")
        return text

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.certificate_authority or None)
        except OSError as error:
            raise SettingsError(
                f"the CA file {self.certificate_authority} cannot be used on the worker",
                detail=str(error),
            ) from error

    def _insist_on_trust(self, error: BaseException) -> None:
        """Tell a certificate that is not trusted from a service that is away."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise CheckFailed(
                    f"the certificate of {self.name} is not trusted",
                    detail=f"{self.url}: {cause.verify_message}",
                    hint="Set certificate_authority to the CA that has signed it.",
                ) from error
            cause = cause.__cause__ or cause.__context__

    def _away(self, method: str, path: str, why: object) -> Unreachable:
        return Unreachable(
            f"{self.name} does not answer",
            detail=f"{method} {self.url}{path}: {why}",
            hint="Is it running, and reachable from the worker? Then start the runbook again.",
        )
