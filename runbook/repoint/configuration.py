"""What compose makes of a project's files, scalar by scalar."""

from __future__ import annotations

from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from runbook.errors import SettingsError
from runbook.repoint.variable import DatabaseVariable

Path = tuple[str, ...]


def leaves(configuration: str) -> Mapping[Path, str]:
    """Give every scalar of what `docker compose config` printed, by its path.

    Without env_file, whose content is in the environment, and without extensions.
    """
    try:
        tree = YAML(typ="base", pure=True).load(configuration)
    except YAMLError:
        raise SettingsError("docker compose config printed no YAML") from None
    found: dict[Path, str] = {}
    waiting: list[tuple[Path, object]] = [((), tree)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            waiting += [((*path, str(key)), child) for key, child in node.items()]
        elif isinstance(node, list):
            waiting += [((*path, str(number)), child) for number, child in enumerate(node)]
        elif not any(part == "env_file" or part.startswith("x-") for part in path):
            found[path] = str(node).replace("$$", "$")
    return found


def path_of(variable: DatabaseVariable) -> Path:
    """Give the path of a service's variable."""
    return ("services", variable.service, "environment", variable.variable)


def insist_on_nothing_else(
    where: str, before: Mapping[Path, str], after: Mapping[Path, str], wanted: Mapping[Path, str]
) -> None:
    """Refuse a change that would change more than what is wanted."""
    others = sorted(
        ".".join(path)
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and path not in wanted
    )
    if others:
        raise SettingsError(
            f"{where}: the change would change more than the app's settings name",
            detail=f"docker compose config differs in {', '.join(others)}",
            hint="They share a value. Name them in the app's database settings, too, or give "
            "them a value of their own.",
        )
