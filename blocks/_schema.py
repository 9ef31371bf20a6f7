"""The schema of this house's blocks, in the form that Prefect can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from prefect.blocks.core import Block
from pydantic.json_schema import GenerateJsonSchema

_REF = "#/definitions/"


class SettingsBlock(Block):
    """A block whose nested settings may name themselves.

    Prefect walks through a schema for ever where a definition leads back to itself, as an SSH host
    does with the host to jump through; the inner one is shown as a plain object.
    """

    @classmethod
    def model_json_schema(  # type: ignore[override]
        cls,
        by_alias: bool = True,
        ref_template: str = _REF + "{model}",
        schema_generator: type[GenerateJsonSchema] = GenerateJsonSchema,
        mode: Literal["validation", "serialization"] = "validation",
    ) -> dict[str, Any]:
        """Give Prefect's schema without circles."""
        schema = super().model_json_schema(by_alias, ref_template, schema_generator, mode)
        definitions = schema.get("definitions", {})
        for name, definition in definitions.items():
            definitions[name] = _without(_REF + name, definition)
        return schema


def described(*secrets: str) -> Callable[[dict[str, Any], type[Block]], None]:
    """Write what Prefect wants in a block's schema, with its secret fields named by hand.

    Prefect's own search for secrets goes round in the same circles. Only direct fields may be
    secrets; a test holds that no model below has one.
    """

    def extend(schema: dict[str, Any], model: type[Block]) -> None:
        schema["block_type_slug"] = model.get_block_type_slug()
        schema["description"] = model.get_description()
        schema["secret_fields"] = list(secrets)
        schema["block_schema_references"] = {}

    return extend


def _without(reference: str, schema: Any) -> Any:
    """Replace every reference of a definition to itself."""
    if isinstance(schema, list):
        return [_without(reference, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$ref") == reference:
        return {"type": "object", "title": reference.removeprefix(_REF)}
    return {key: _without(reference, value) for key, value in schema.items()}
