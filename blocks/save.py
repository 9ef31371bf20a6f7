"""Writes an inventory into Prefect's blocks, and tells what that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from prefect.blocks.core import Block
from pydantic import BaseModel, SecretStr

from blocks._saved import saved_names
from blocks.cluster import PostgresCluster
from blocks.policy import ApprovalPolicyBlock
from blocks.store import BackupStore
from runbook.errors import SettingsError
from runbook.inventory import Inventory

Kind = Literal["store", "policy", "cluster"]
Verb = Literal["create", "update", "unchanged"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Change:
    """What saving does to one block; `lines` tell each setting that changes, secrets hidden."""

    kind: Kind
    name: str
    verb: Verb
    lines: tuple[str, ...] = ()


def changes(inventory: Inventory) -> tuple[Change, ...]:
    """Compare an inventory with the saved blocks; nothing is written."""
    return tuple(_change(kind, name, block) for kind, name, block in _blocks(inventory))


def save(inventory: Inventory) -> tuple[Change, ...]:
    """Create or update the blocks of an inventory; those that are the same are left alone."""
    for kind in (BackupStore, ApprovalPolicyBlock, PostgresCluster):
        kind.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
    done = []
    for noun, name, block in _blocks(inventory):
        change = _change(noun, name, block)
        if change.verb != "unchanged":
            block.save(name, overwrite=True, _sync=True)  # type: ignore[call-arg]
        done.append(change)
    return tuple(done)


def _blocks(inventory: Inventory) -> list[tuple[Kind, str, Block]]:
    stores: list[tuple[Kind, str, Block]] = [
        ("store", store.name, BackupStore.of(store)) for store in inventory.stores
    ]
    policies: list[tuple[Kind, str, Block]] = [
        ("policy", policy.name, ApprovalPolicyBlock.of(policy)) for policy in inventory.policies
    ]
    clusters: list[tuple[Kind, str, Block]] = [
        ("cluster", cluster.name, PostgresCluster.of(cluster)) for cluster in inventory.clusters
    ]
    found = stores + policies + clusters
    for kind, name, _ in found:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"Prefect cannot save a {kind} named {name!r}",
                hint="Names have lower-case letters and digits, with single dashes between.",
            )
    return found


def _change(kind: Kind, name: str, block: Block) -> Change:
    block_type = type(block)
    if name not in saved_names(block_type):
        return Change(kind, name, "create", tuple(_lines({}, _flat(block))))
    try:
        saved = _flat(block_type.load(name, _sync=True))  # type: ignore[call-arg]
    except ValueError:
        return Change(
            kind, name, "update", ("the saved settings cannot be used: all are replaced",)
        )
    lines = tuple(_lines(saved, _flat(block)))
    return Change(kind, name, "update" if lines else "unchanged", lines)


def _lines(old: dict[str, object], new: dict[str, object]) -> list[str]:
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, ""), new.get(key, "")
        if before == after:
            continue
        if isinstance(before, SecretStr) or isinstance(after, SecretStr):
            lines.append(f"{key}: {'changed' if key in old else '***'}")
        elif key not in old:
            lines.append(f"{key}: {after}")
        elif key not in new:
            lines.append(f"{key}: {before} is removed")
        else:
            lines.append(f"{key}: {before} becomes {after}")
    return lines


def _flat(value: object, path: str = "") -> dict[str, object]:
    """Give every setting by its path; lists of named things by name, empty ones left out.

    Of a setting that says nothing (`platform: {}`) it gives that it is set.
    """
    if isinstance(value, BaseModel):
        items = [(key, getattr(value, key)) for key in type(value).model_fields]
    elif isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = [(str(getattr(item, "name", number)), item) for number, item in enumerate(value)]
    else:
        empty = value in ("", None) or (isinstance(value, SecretStr) and not len(value))
        return {} if empty else {path: value}
    flat: dict[str, object] = {}
    for key, item in items:
        within = f"{path}.{key}" if path else str(key)
        flat |= _flat(item, within) or ({within: "set"} if _says_nothing(value, key) else {})
    return flat


def _says_nothing(value: object, key: str) -> bool:
    """Tell whether a setting is there that is none by default, and has nothing in it."""
    if not isinstance(value, BaseModel) or not isinstance(getattr(value, key), BaseModel):
        return False
    return type(value).model_fields[key].get_default(call_default_factory=True) is None
