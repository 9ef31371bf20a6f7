"""Pages: one HTML file each that needs nothing else, and escapes whatever people wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from runbook.audit.report.kind import kind
from runbook.units import readable_bytes, readable_seconds

_FOLDER = Path(__file__).parent
_OPTION = re.compile(r"(?<!\S)(-[A-Za-z0-9_-]{1,24})(?!\S)")


def written(template: str, values: Mapping[str, object]) -> str:
    """Fill a template."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_FOLDER / "style.css").read_text()
    made.globals["style"] = Markup(style)  # noqa: S704 - a file of ours
    made.filters["typed"] = _typed
    made.filters["kind"] = kind
    made.filters["bytes"] = readable_bytes
    made.filters["seconds"] = _seconds
    made.filters["at"] = _at
    return made


def _typed(command: object) -> Markup:
    """Write a command so that no line ends within one of its short options."""
    return Markup(_OPTION.sub(r'<span class="option">\1</span>', str(escape(str(command)))))  # noqa: S704


def _seconds(value: object) -> str:
    return readable_seconds(float(value)) if isinstance(value, int | float) else ""


def _at(text: object) -> str:
    """Write a moment for people: to the second."""
    return str(text)[:19].replace("T", " ")
