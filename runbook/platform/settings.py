"""The platform's client, what it exports, and where exports are kept."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from runbook.hosts import Host

Namespace = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_./-]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
_PATH = r"^/(?:.*/)?[A-Za-z0-9_][A-Za-z0-9_.-]*$"
"""A whole path; its last part, by which the file is kept, does not begin with a dot."""


class Repository(BaseModel):
    """A git repository, and who may push to it from where."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field(
        pattern=r"^[^-\s]\S*$",
        description="As git clone takes it; a password has no place in it, a key or helper has.",
    )
    branch: str = Field(
        default="main",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$",
        description="Branch that is pushed to.",
    )
    host: Host = Field(default=Host(name="worker"), description="Where git runs.")
    user: str = Field(default="", description="Operating system user there; empty: the login.")

    @field_validator("url")
    @classmethod
    def _has_no_password(cls, url: str) -> str:
        http = re.match(r"https?://[^/?#]*@", url, re.IGNORECASE)
        if http or re.match(r"[\w+.-]+://[^/]*:[^/]*@", url):
            raise ValueError(
                "url has a user or password in it: let git log in by a key or a helper"
            )
        return url

    def __str__(self) -> str:
        return f"{self.url} ({self.branch})"


class InstallationFiles(BaseModel):
    """The files that the platform was installed from, where they are used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: Host = Field(description="The machine that deploys: the Orchestrator host.")
    user: str = Field(default="", description="Who may read them there; empty: the login.")
    files: tuple[Annotated[str, StringConstraints(pattern=_PATH)], ...] = Field(
        min_length=1, description="Whole paths of cluster.conf and the Terraform files."
    )
    place: Literal["repository", "store"] = Field(
        default="repository", description="store: for files with secrets in them."
    )

    @model_validator(mode="after")
    def _distinct(self) -> InstallationFiles:
        names = [path.rpartition("/")[2] for path in self.files]
        if len(set(names)) != len(names):
            raise ValueError(f"two files have the same name: {names}")
        return self


class Platform(BaseModel):
    """A platform as one: what platform-backup backs up in one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    clusters: tuple[str, ...] = Field(
        default=(), description="The other clusters of the same platform, in their order."
    )


class PlatformExports(BaseModel):
    """The machine with the platform's client, logged in to it, and the places of its exports."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    client: Host = Field(description="The machine with the client.")
    user: str = Field(default="", description="The client's user there; empty: the login.")
    program: str = Field(default="apc", pattern=r"^[^\s-]\S*$", description="The client.")
    directory: str = Field(
        pattern="^/.+",
        description="Folder on that machine that this user alone can write to; for files on their "
        "way. It must have room for the largest export.",
    )
    store: str = Field(default="", description="Name of the store; empty: none.")
    repository: Repository | None = Field(
        default=None, description="Where policy documents go instead of the store."
    )
    documents: tuple[Name, ...] = Field(
        default=(), description="Policy documents that no export may lack."
    )
    jobs: dict[Namespace, tuple[Name, ...]] = Field(
        default_factory=dict, description="Jobs to export, by namespace: they have no wildcard."
    )
    packages: dict[Namespace, tuple[Name, ...]] = Field(
        default_factory=dict, description="Packages to export, by namespace."
    )
    installation: InstallationFiles | None = Field(
        default=None, description="The installation files; empty: they are kept elsewhere."
    )
    refusal: str = Field(
        default=r"multi.?layer",
        min_length=1,
        description="What the client says, in upper or lower case, when it refuses to export "
        "everything (a regular expression); any other failure fails the run.",
    )
    keep: int = Field(default=7, ge=1, description="Newest exports of each kind that remain.")
    limit_seconds: int = Field(
        default=6 * 3600, ge=1, description="Patience with one command of the client."
    )

    @field_validator("refusal")
    @classmethod
    def _is_an_expression(cls, refusal: str) -> str:
        try:
            re.compile(refusal)
        except re.error as error:
            raise ValueError(f"refusal is no regular expression: {error}") from error
        return refusal

    @model_validator(mode="after")
    def _has_a_place(self) -> PlatformExports:
        if not self.store and self.repository is None:
            raise ValueError("exports needs a store or a repository")
        if self.installation and self.installation.place == "repository" and not self.repository:
            raise ValueError("installation.place is repository, and exports has none")
        return self
