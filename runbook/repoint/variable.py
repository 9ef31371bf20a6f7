"""Where an application keeps the address of its database."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DatabaseVariable(BaseModel):
    """A variable that holds the database's address: a host, host:port, URL, or libpq string."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    variable: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", description="Its name.")
    service: str = Field(default="", description="docker-compose: the service it belongs to.")
    file: str = Field(default="", description="Other applications: the file with NAME=value lines.")
    holds: Literal["address", "port"] = Field(
        default="address", description="port: a bare port number, kept apart from the address."
    )
    once: bool = Field(
        default=False, description="The service ends by itself, as a migration: it need not run."
    )

    def __str__(self) -> str:
        return f"{self.service} {self.variable}".strip()
