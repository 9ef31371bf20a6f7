"""Where repmgr is on a server, and how it logs in."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Repmgr(BaseModel):
    """The repmgr of one node. Node ids are not settings: repmgr.conf on the node has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    configuration: str = Field(
        default="/etc/repmgr.conf",
        pattern=r"^/",
        description="Absolute path of repmgr.conf; repmgr refuses to work with a relative one.",
    )
    program: str = Field(default="", description="Path of repmgr; empty: beside PostgreSQL's own.")
    database: str = Field(default="repmgr", description="Database that holds repmgr's metadata.")
    user: str = Field(default="repmgr", description="Login that repmgr connects as.")
