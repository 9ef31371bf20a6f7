"""What is known of a logical backup: the `<id>.json` beside its parts, written last."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runbook.errors import Damaged
from runbook.logical.key_check import KeyCheck

_LAYOUT: Literal["pg-runbooks/logical/1"] = "pg-runbooks/logical/1"


class StoredPart(BaseModel):
    """One object of the encrypted stream, as it lies in the store."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class LogicalMetadata(BaseModel):
    """Everything that a reader must know, and no secret."""

    model_config = ConfigDict(frozen=True)
    layout: Literal["pg-runbooks/logical/1"] = _LAYOUT
    id: str
    cluster: str
    node: str
    system_identifier: str
    server_version: str = Field(description="As server_version says it, such as 15.18.")
    dump_version: str = Field(description="Version of pg_dumpall.")
    encoding: str = Field(description="client_encoding of the dump.")
    format: Literal["openssl", "age"]
    cipher: str
    kdf: str
    key_name: str = Field(description="Name of the key in encryption_keys; never the key.")
    key_check: KeyCheck | None = Field(
        default=None, description="Tells a wrong key; age's own header does where there is none."
    )
    parts: tuple[StoredPart, ...] = Field(min_length=1)
    dump_size: int = Field(ge=0, description="Bytes of the plain dump.")
    dump_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rows: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="Rows by database and table, counted in the dump itself, when it was read back;"
        " tables as SQL writes them.",
    )
    refused: str = Field(
        default="", description="What in it must not be loaded, and why; empty: nothing."
    )
    began: datetime
    finished: datetime
    verified: datetime = Field(description="When every byte was last read back and opened.")
    run_id: str

    @property
    def stored_size(self) -> int:
        """Give the bytes it takes in the store."""
        return sum(part.size for part in self.parts)

    @property
    def seconds(self) -> float:
        """Give how long it took to write."""
        return (self.finished - self.began).total_seconds()

    def text(self) -> bytes:
        """Write it down."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def read_metadata(raw: bytes, name: str) -> LogicalMetadata | None:
    """Read a record; None for one of the a9s agent. Damaged when it is ours and cannot be used."""
    try:
        found = json.loads(raw)
    except ValueError:  # also text that is no UTF-8
        return None
    if not isinstance(found, dict) or found.get("layout") != _LAYOUT:
        return None
    try:
        metadata = LogicalMetadata.model_validate(found)
    except ValidationError as error:
        raise Damaged(
            f"{name}.json cannot be used",
            detail=str(error.errors(include_input=False, include_url=False)[:3]),
            hint="Use another backup, or move this record away: its parts are then read without.",
        ) from error
    if metadata.id != name:
        raise Damaged(f"{name}.json is the record of {metadata.id}")
    return metadata
