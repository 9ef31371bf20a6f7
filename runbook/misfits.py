"""What of an inventory does not fit, in words: where it stands, what it is, what may be meant."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError

_ONE_OF = {
    "stores": "store",
    "policies": "policy",
    "clusters": "cluster",
    "nodes": "node",
    "apps": "app",
    "health": "health check",
}

Place = tuple[int | str, ...]


def misfits(error: ValidationError, model: type[BaseModel], tree: object) -> tuple[str, ...]:
    """Give a line for each; what only holds a wrong setting is not told as wrong itself."""
    items = error.errors()
    places = [item["loc"] for item in items]
    return tuple(
        _line(item["type"], item["msg"], item["loc"], model, tree)
        for item in items
        if not any(_holds(item["loc"], place) for place in places)
    )


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """List the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def _holds(outer: Place, inner: Place) -> bool:
    return len(outer) < len(inner) and inner[: len(outer)] == outer


def _line(kind: str, said: str, place: Place, model: type[BaseModel], tree: object) -> str:
    if kind == "extra_forbidden":
        place, name = place[:-1], str(place[-1])
        near = get_close_matches(name, _known(place, model), n=1)
        said = f"there is no setting {name!r}" + (f"; did you mean {near[0]}?" if near else "")
    elif kind == "missing":
        said = f"{place[-1]} is missing"
    where = _where(place, tree)
    return f"{where}: {said.removeprefix('Value error, ')}" if where else said


def _known(place: Place, model: type[BaseModel]) -> list[str]:
    """Name the settings that there are at a place; a part of it may be a kind."""
    models = [model]
    for part in place:
        within = [each for each in models if part in each.model_fields]
        if within:
            models = [
                m for each in within for m in models_in(each.model_fields[str(part)].annotation)
            ]
        else:
            models = [each for each in models if _kind(each) == part] or models
    return [name for each in models for name in each.model_fields]


def _kind(model: type[BaseModel]) -> object:
    field = model.model_fields.get("kind")
    return field.default if field else None


def _where(place: Place, tree: object) -> str:
    """Name a place as a person would: what has a name by it, the settings by theirs."""
    found: list[str] = []
    inner: list[str] = []
    for part in place:
        if isinstance(tree, list) and isinstance(part, int):
            tree, of = tree[part], inner.pop() if inner else "entry"
            name = tree.get("name") if isinstance(tree, dict) else None
            found += [".".join(inner)] if inner else []
            found.append(f"{_ONE_OF.get(of, of)} {name or f'number {part + 1}'}")
            inner = []
        elif isinstance(tree, dict) and part in tree:
            tree = tree[part]
            inner.append(str(part))
    return ", ".join([*found, *([".".join(inner)] if inner else [])])
