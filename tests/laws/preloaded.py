"""Imports every flow once, in the process that the runs are forked from."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path

FLOWS = Path(__file__).parents[2] / "flows"
MODULES = {
    path.stem.replace("_", "-"): ".".join(("flows", *path.relative_to(FLOWS).with_suffix("").parts))
    for path in sorted(FLOWS.rglob("*.py"))
    if not path.name.startswith("_")
}
"""The module of each procedure: its name is the procedure's."""


def preload() -> None:
    """Import all flows; one that cannot be imported fails its own laws, not everybody's."""
    for module in MODULES.values():
        with suppress(ImportError, SyntaxError, NameError, AttributeError):
            importlib.import_module(module)


preload()
