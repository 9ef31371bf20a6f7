"""One HTTP call as the settings declare it: what is sent, what is expected, what is kept."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from runbook.health import placeholders

_READING = ("GET", "HEAD")
_ONE_PLACEHOLDER = r"^\{[^{}]+\}$"
_ONE_SECRET = r"^\{secret:[^{}]+\}$"  # noqa: S105 - the form of a reference
_SECRET_BY_NAME = re.compile(r"authori[sz]ation|cookie|token|secret|passw|api[-_]?key", re.I)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Basic(_Settings):
    """User and password with every call."""

    kind: Literal["basic"] = "basic"
    user: str = Field(description="Login.")
    password: str = Field(pattern=_ONE_SECRET, description="A reference such as {secret:portal}.")


class Bearer(_Settings):
    """A token: a secret of the settings, or one that an earlier call was answered with."""

    kind: Literal["bearer"] = "bearer"
    token: str = Field(pattern=_ONE_PLACEHOLDER, description="{secret:name} or {name}.")


AnyAuth = Annotated[Basic | Bearer, Field(discriminator="kind")]


class Extraction(_Settings):
    """Where a value for later calls stands in the answer."""

    path: str = Field(default="", description="JMESPath in the JSON body.")
    header: str = Field(default="", description="Name of a header.")

    @model_validator(mode="after")
    def _one(self) -> Extraction:
        if bool(self.path) == bool(self.header):
            raise ValueError("an extraction has either a path or a header")
        return self

    @field_validator("path")
    @classmethod
    def _compiles(cls, path: str) -> str:
        return readable_path(path) if path else path

    def __str__(self) -> str:
        return self.path or f"header {self.header}"


class Request(_Settings):
    """What is sent, what is expected, and what is kept for the next call."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="Method of HTTP."
    )
    url: str = Field(default="", description="http or https; may have {placeholders}.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers by name.")
    json_body: JsonValue = Field(default=None, description="Sent as JSON.")
    form_body: dict[str, str] = Field(default_factory=dict, description="Sent as a form.")
    auth: AnyAuth | None = Field(default=None, description="How it logs in; empty: not at all.")
    status: int | tuple[int, ...] = Field(default=200, description="Expected, or all that may be.")
    contains: str = Field(default="", description="Text that the answer must contain.")
    json_equals: dict[str, JsonValue] = Field(
        default_factory=dict, description="JMESPath and the value that must be there."
    )
    json_empty: tuple[str, ...] = Field(
        default=(), description="JMESPaths of lists that must be there and have no entry."
    )
    extract: dict[str, Extraction] = Field(
        default_factory=dict, description="Name and place of what later calls need."
    )
    changes: bool | None = Field(
        default=None, description="Say false of a POST that only logs in; default: by method."
    )
    timeout: float = Field(default=10.0, gt=0, le=600, description="Seconds for an answer.")

    @property
    def writes(self) -> bool:
        """Tell whether the call changes something."""
        return self.method not in _READING if self.changes is None else self.changes

    @property
    def statuses(self) -> tuple[int, ...]:
        """Give every status that is as expected."""
        return (self.status,) if isinstance(self.status, int) else self.status

    @property
    def needed(self) -> tuple[str, ...]:
        """List the placeholders that must be known before it is sent."""
        return tuple(dict.fromkeys(self._placeholders()))

    @property
    def label(self) -> str:
        """Name the call in errors."""
        return f"{self.method} {self.url}"

    @property
    def line(self) -> str:
        """Give the line that a person would type, with names in place of secrets.

        Ref.: curl(1)
        """
        words = ["curl", *(() if self.method == "GET" else ("-X", self.method))]
        if isinstance(self.auth, Basic):
            words += ["-u", f"{self.auth.user}:***"]
        elif self.auth is not None:
            words += ["-H", "Authorization: Bearer ***"]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        if self.json_body is not None:
            words += ["--json", json.dumps(self.json_body, ensure_ascii=False)]
        for name, value in self.form_body.items():
            words += ["--data-urlencode", f"{name}={value}"]
        return re.sub(r"\{secret:[^{}]+\}", "***", shlex.join([*words, self.url]))

    def _placeholders(self) -> Iterator[str]:
        """Go through everything that is sent."""
        yield from placeholders.names(self.url)
        for text in (*self.headers.values(), *self.form_body.values()):
            yield from placeholders.names(text)
        yield from placeholders.names_within(self.json_body)
        if isinstance(self.auth, Basic):
            yield from placeholders.names(self.auth.password)
        elif self.auth is not None:
            yield from placeholders.names(self.auth.token)

    @field_validator("json_equals", "json_empty")
    @classmethod
    def _paths(cls, paths: dict[str, JsonValue] | tuple[str, ...]) -> object:
        for path in paths:
            readable_path(path)
        return paths

    @field_validator("url")
    @classmethod
    def _sound_url(cls, url: str) -> str:
        if not url:
            return url
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ValueError("a URL begins with https:// or http:// and a host's name")
        if split.username or split.password or placeholders.SECRET in url:
            raise ValueError("a URL is shown in plans: write its credentials as auth")
        if placeholders.names(split.netloc):
            raise ValueError("a placeholder may not choose the host that credentials go to")
        return url

    @model_validator(mode="after")
    def _sound(self) -> Request:
        if self.json_body is not None and self.form_body:
            raise ValueError("a call has a JSON body or a form, not both")
        for name, value in (*self.headers.items(), *self.form_body.items()):
            _insist_on_reference(name, value)
        _insist_within(self.json_body)
        list(self._placeholders())
        return self


class HttpCall(Request):
    """A call of a sequence."""

    name: str = Field(default="", description="What it is for, such as: log in.")
    url: str = Field(min_length=1, description="http or https; may have {placeholders}.")

    @property
    def label(self) -> str:
        """Name the call in errors: what it is for, method and URL."""
        return f"{self.name}: {super().label}" if self.name else super().label


def readable_path(path: str) -> str:
    """Give a JMESPath back; ValueError when it cannot be read."""
    try:
        jmespath.compile(path)
    except JMESPathError as error:
        raise ValueError(f"{path!r} is no JMESPath: {error}") from None
    return path


def _insist_within(value: JsonValue) -> None:
    if isinstance(value, list):
        for item in value:
            _insist_within(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                _insist_on_reference(key, item)
            _insist_within(item)


def _insist_on_reference(name: str, value: str) -> None:
    """Refuse what looks like a secret in open text: settings are shown and stored in clear."""
    if _SECRET_BY_NAME.search(name) and not placeholders.names(value):
        raise ValueError(f"{name} must be a reference such as {{secret:portal}}, not text")
