"""Writes settings.md: every setting of an inventory, from the models that check it."""

from __future__ import annotations

import inspect
import json
import re
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, ByteSize, JsonValue, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from runbook.inventory import Inventory
from runbook.misfits import models_in

PATH = Path(__file__).parent / "settings.md"

_HEAD = """\
# Settings of an inventory

One table for each part. A part with `kind` is one of several: `kind` says which, and must be
written. A secret is never written as text but as `{env: NAME}`, `{file: PATH}` or
`{credhub: NAME}`. A list is written `[a, b]`. `pg-runbooks check inventory.yaml` tells what it
cannot use. Whole files to begin with: [inventories](inventories/).

Written by `python -m deployments.settings_page`; a test holds that it is true.
"""
_WORDS: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    SecretStr: "secret",
    ByteSize: "size, such as `64MiB`",
    timedelta: "time, such as `PT4H`",
    JsonValue: "any value",
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "multiple_of": "a multiple of"}
_BY_NAME = "mapping by name: "


def page() -> str:
    """Give the text of the page."""
    return _HEAD + "".join(_section(part) for part in parts())


def parts() -> list[type[BaseModel]]:
    """List every part of an inventory once, each before what it is made of."""
    found: list[type[BaseModel]] = []

    def visit(part: type[BaseModel]) -> None:
        if part not in found:
            found.append(part)
            for field in part.model_fields.values():
                for inner in models_in(field.annotation):
                    visit(inner)

    visit(Inventory)
    return found


def _section(part: type[BaseModel]) -> str:
    keyed = {
        each for field in Inventory.model_fields.values() for each in models_in(field.annotation)
    }
    rows = [
        _row(part, name, field)
        for name, field in part.model_fields.items()
        if not (name == "name" and part in keyed)
    ]
    about = " ".join((inspect.getdoc(part) or "").split())
    table = "| setting | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"\n## {_title(part)}\n\n{about}\n\n{table}\n"


def _title(part: type[BaseModel]) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", part.__name__)


def _row(part: type[BaseModel], name: str, field: FieldInfo) -> str:
    kind = _kind(field.annotation)
    if part is Inventory:
        kind = kind.replace("list of ", _BY_NAME)
    bounds = [
        f"{words} {getattr(bound, key):n}"
        for bound in field.metadata
        for key, words in _BOUNDS.items()
        if isinstance(getattr(bound, key, None), int | float)
    ]
    about = field.description or ("Says which it is." if name == "kind" else "")
    needed = field.is_required() or name == "kind"
    default = "**needed**" if needed else _default(field.get_default(call_default_factory=True))
    cells = (f"`{name}`", ", ".join([kind, *bounds]), default, about)
    return "| " + " | ".join(re.sub(r"([|<])", r"\\\1", cell) for cell in cells) + " |"


def _kind(kind: object) -> str:
    """Say in words what a setting may be."""
    if kind in _WORDS:
        return _WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _link(kind)
    inner = [each for each in get_args(kind) if each is not NoneType]
    if get_origin(kind) is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if get_origin(kind) is Annotated:
        return "time, such as `15min`" if inner[0] is timedelta else _kind(inner[0])
    if get_origin(kind) in (tuple, dict):
        collection = _BY_NAME if get_origin(kind) is dict else "list of "
        return f"{collection}{_kind(inner[1 if get_origin(kind) is dict else 0])}"
    return " or ".join(_kind(each) for each in inner)


def _link(part: type[BaseModel]) -> str:
    title, kind = _title(part), part.model_fields.get("kind")
    shown = f"`{kind.default}`" if kind else title
    return f"[{shown}](#{title.lower().replace(' ', '-')})"


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        given = {"kind": value.kind} if hasattr(value, "kind") else {}
        given |= value.model_dump(mode="json", exclude_defaults=True)
        return f"`{_flow(given)}`" if given else "its defaults"
    if value in (None, "", (), {}) or value == SecretStr(""):
        return ""
    return f"`{_flow(TypeAdapter(object).dump_python(value, mode='json'))}`"


def _flow(value: object) -> str:
    """Write a value as a person would in YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    PATH.write_text(page())
