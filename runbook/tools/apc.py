"""apc, the client of the platform, called as its documentation writes it.

Ref.: "Backing Up and Restoring Platform Data"
"""

from __future__ import annotations

from typing import Literal


def policy_export(program: str) -> tuple[str, ...]:
    """Write every policy document, `<document-name>.pol`, into the current directory."""
    return (program, "policy", "export")


def policy_import(program: str, *files: str) -> tuple[str, ...]:
    """Import policy documents."""
    return (program, "policy", "import", *files)


def target(program: str, namespace: str) -> tuple[str, ...]:
    """Target a namespace, for this login and until another is targeted."""
    return (program, "ns", namespace)


def export(program: str, kind: Literal["package", "job"], name: str) -> tuple[str, ...]:
    """Write a package or job of the targeted namespace, `<name>.cntmp`, here."""
    return (program, kind, "export", name)


def export_all(program: str) -> tuple[str, ...]:
    """Write everything within the platform, one `.cntmp`, here; no multi-layered package."""
    return (program, "export", "all")


def take_in(
    program: str,
    kind: Literal["package", "job"],
    *files: str,
    skip_existing: bool = False,
    override: bool = False,
) -> tuple[str, ...]:
    """Import archives, into their own namespaces; with `override` into the targeted one."""
    verb, batch = (("package", "import"), ("--batch",)) if kind == "package" else (("import",), ())
    skip = ("--skip-existing",) if skip_existing else ()
    return (program, *verb, *files, *batch, *skip, *(("--override",) if override else ()))
