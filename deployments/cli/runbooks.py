"""Which runbooks there are: one file each, found without importing Prefect."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import flows

if TYPE_CHECKING:
    from flows._procedure import Procedure


def modules() -> dict[str, str]:
    """Give the module of every runbook, by the runbook's name."""
    found = pkgutil.walk_packages(flows.__path__, "flows.")
    leaves = ((info.name, info.name.rpartition(".")[2]) for info in found if not info.ispkg)
    named = {leaf.replace("_", "-"): name for name, leaf in leaves if not leaf.startswith("_")}
    return dict(sorted(named.items()))


def headlines() -> dict[str, str]:
    """Give the first line of every runbook's page, by the runbook's name."""
    return {name: _headline(module) for name, module in modules().items()}


def load(name: str) -> Procedure:
    """Import one runbook; SettingsError when there is none of that name."""
    known = modules()
    if name not in known:
        from runbook.errors import SettingsError

        raise SettingsError(
            f"there is no runbook {name!r}",
            detail=f"known: {', '.join(known)}",
        )
    importlib.import_module(known[name])
    from flows._procedure import PROCEDURES

    return PROCEDURES[name]


def _headline(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    page = ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or ""
    return page.partition("\n")[0].rstrip(".")
