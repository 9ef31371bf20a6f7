"""The text of a compose file: where the environment of its services is written.

ruamel.yaml gives the places; nothing is ever written back by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from runbook.errors import SettingsError
from runbook.repoint.text_file import TextFile
from runbook.repoint.traced import Place, Traced, unwritten, written

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_ESCAPE = re.compile(r"\\(?:x..|u.{4}|U.{8}|.)|.", re.DOTALL)


@dataclass(frozen=True)
class ComposeText:
    """A compose file, its nodes with their places."""

    file: TextFile
    root: MappingNode = field(repr=False)

    def variable(self, service: str, name: str) -> Traced | None:
        """Give what is written for a variable, not interpolated; None: nothing is.

        A name without a value is one that is taken over from outside: `${NAME}`.
        """
        environment = _get(self._service(service), "environment")
        if isinstance(environment, MappingNode):
            value = _get(environment, name)
            if value is None:
                return None
            null = isinstance(value, ScalarNode) and str(value.tag).endswith(":null")
            return unwritten(f"${{{name}}}") if null else self._scalar(value, f"{service} {name}")
        items = environment.value if isinstance(environment, SequenceNode) else []
        found = [text for text in map(self._item, items) if text.text.split("=")[0] == name]
        if len(found) > 1:
            raise SettingsError(f"{self.file.path} sets {name} of {service} {len(found)} times")
        if not found:
            return None
        return found[0].cut(len(name) + 1) if "=" in found[0].text else unwritten(f"${{{name}}}")

    def services(self) -> tuple[str, ...]:
        """Name all services of the file."""
        found = _get(self.root, "services")
        pairs = found.value if isinstance(found, MappingNode) else []
        return tuple(str(name.value) for name, _ in pairs if name.value != "<<")

    def env_files(self, service: str) -> tuple[Traced, ...]:
        """Give the paths of the service's env files; of two that set a variable the later counts.

        Ref.: Compose file reference, env_file
        """
        node = _get(self._service(service), "env_file")
        items = node.value if isinstance(node, SequenceNode) else [node] if node else []
        paths = [_get(item, "path") if isinstance(item, MappingNode) else item for item in items]
        return tuple(self._scalar(path, f"env_file of {service}") for path in paths if path)

    def literals(self) -> Iterator[str]:
        """Give all values that stand in the environment of any service."""
        services = _get(self.root, "services")
        for _, service in services.value if isinstance(services, MappingNode) else ():
            environment = _get(service, "environment")
            for child in environment.value if environment else ():
                scalar = child[1] if isinstance(child, tuple) else child
                if isinstance(scalar, ScalarNode):
                    yield scalar.value.partition("=")[2] or scalar.value

    def _service(self, name: str) -> Node:
        services = _get(self.root, "services")
        service = _get(services, name) if services else None
        if service is None:
            raise SettingsError(
                f"{self.file.path} has no service {name!r}",
                hint="Correct `service` in the app's database settings.",
            )
        return service

    def _item(self, node: Node) -> Traced:
        return self._scalar(node, "an item of environment")

    def _scalar(self, node: Node, what: str) -> Traced:
        line = node.start_mark.line + 1
        traced = _traced(node, self.file) if isinstance(node, ScalarNode) else None
        if traced is None:
            raise SettingsError(
                f"{self.file.path} line {line}: the value of {what} is not understood",
                detail="it is no text on one line",
                hint="Write it as one text on the line of its name.",
            )
        return traced


def compose_text(file: TextFile) -> ComposeText:
    """Read a compose file; SettingsError, without any of its text, when it is no YAML mapping."""
    try:
        root = YAML(typ="safe", pure=True).compose(file.text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = f" line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{file.path}{line} is no YAML that can be read") from None
    if not isinstance(root, MappingNode):
        raise SettingsError(f"{file.path} is no compose file", hint="It has services:.")
    return ComposeText(file, root)


def _get(node: Node | None, key: str) -> Node | None:
    """Look a key up as YAML does: its own keys before those that are merged in."""
    if not isinstance(node, MappingNode):
        return None
    pairs: list[tuple[Node, Node]] = node.value
    own = [value for name, value in pairs if isinstance(name, ScalarNode) and name.value == key]
    if len(own) > 1:
        raise SettingsError(f"line {own[1].start_mark.line + 1}: {key} stands here a second time")
    if own:
        return own[0]
    for name, value in pairs:
        if name.value == "<<":
            for merged in value.value if isinstance(value, SequenceNode) else [value]:
                found = _get(merged, key)
                if found is not None:
                    return found
    return None


def _traced(node: ScalarNode, file: TextFile) -> Traced | None:
    """Trace a scalar on one line; None where its characters cannot be told one by one."""
    start, end = node.start_mark.index, node.end_mark.index
    raw = file.text[start:end]
    properties = _PROPERTIES.match(raw)
    skipped = properties.end() if properties else 0
    raw, start = raw[skipped:], start + skipped
    if "\n" in raw or "\r" in raw or node.style not in (None, "'", '"'):
        return None
    if node.style is None:
        return written(raw, file.path, start) if raw == node.value else None
    pieces = _pieces(raw, node.style)
    if len(pieces) != len(node.value):
        return None
    places, at = [], start + 1
    for piece in pieces:
        places.append(Place(file.path, at, at + len(piece)))
        at += len(piece)
    plain = all(p == c for p, c in zip(pieces, node.value, strict=True) if len(p) == 1)
    return Traced(node.value, tuple(places)) if plain else None


def _pieces(raw: str, quote: str) -> list[str]:
    """Split what stands between quotes into the writings of single characters."""
    inside = raw[1:-1]
    if quote == "'":
        return re.findall(r"''|.", inside, flags=re.DOTALL)
    return [match[0] for match in _ESCAPE.finditer(inside)]
