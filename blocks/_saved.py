"""Saved blocks: loading them by name, and the names they were saved with."""

from __future__ import annotations

from typing import TypeVar

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from pydantic import ValidationError

from runbook.errors import SettingsError

B = TypeVar("B", bound=Block)


def loaded(kind: type[B], name: str, noun: str) -> B:
    """Load a block; SettingsError when there is none of that name or it cannot be used."""
    try:
        block: B = kind.load(name, _sync=True)  # type: ignore[call-arg,assignment]
    except RuntimeError as error:
        # So Prefect wraps what it finds wrong with the values of a block.
        if isinstance(error.__cause__, ValidationError):
            raise unusable(kind, name, noun, error.__cause__) from None
        raise SettingsError(
            f"the settings of {noun} {name!r} cannot be read",
            detail=f"Prefect met a {type(error.__cause__ or error).__name__} with them",
            hint=f"See the block {kind.get_block_type_slug()}/{name} in the Prefect UI.",
        ) from error
    except ValueError as error:
        known = ", ".join(saved_names(kind)) or "none"
        raise SettingsError(
            f"there is no {noun} {name!r}",
            detail=f"known: {known}",
            hint="Write it into the inventory file and run `pg-runbooks apply` on it.",
        ) from error
    return block


def unusable(kind: type[Block], name: str, noun: str, error: ValidationError) -> SettingsError:
    """Tell which settings of a block cannot be used; not their values, which may be secrets."""
    return SettingsError(
        f"the settings of {noun} {name!r} cannot be used",
        detail="\n".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        ),
        hint=f"Correct the block {kind.get_block_type_slug()}/{name} in the Prefect UI.",
    )


def saved_name(block: Block) -> str:
    """Give the name a block was saved with."""
    name = block._block_document_name
    if name is None:
        raise SettingsError("this block has not been saved, so it has no name")
    return name


def saved_names(kind: type[Block]) -> tuple[str, ...]:
    """List the names of all saved blocks of a kind."""
    slug = kind.get_block_type_slug()
    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(slug, include_secrets=False)
    return tuple(sorted(document.name for document in documents if document.name))
