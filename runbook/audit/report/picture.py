"""Pictures by matplotlib, as SVG that the page around it dresses: its colours, its letters.

Ref.: https://matplotlib.org/stable/api/backend_svg_api.html
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TypedDict
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path
from matplotlib.typing import RcKeyType

WIDTH = 860.0
"""Of a picture, in its own units; a page shows it as wide as it has room."""
LETTERS = 11.0

_NAMES = ("text", "quiet", "line", "link", "good", "held", "bad", "wait", "back")
COLOURS = {name: f"#0000{number:02x}" for number, name in enumerate(_NAMES, start=1)}
"""Stands in the drawing for a colour of the page, `--<name>` of style.css."""
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_HATCHES = {"good": "", "held": "///", "bad": "xx"}
"""So that outcomes differ without colours too."""
_HATCHED = 6.0
"""What is narrower than this has no room for a hatch."""

_STYLE: dict[RcKeyType, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pg-runbooks",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": LETTERS,
    "text.color": COLOURS["text"],
    "axes.titlesize": LETTERS,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,
    "axes.edgecolor": COLOURS["line"],
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": COLOURS["line"],
    "xtick.labelcolor": COLOURS["quiet"],
    "ytick.labelcolor": COLOURS["quiet"],
    "xtick.major.size": 0.0,
    "xtick.major.pad": 8.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["quiet"],
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.3,
    "legend.handlelength": 1.4,
    "legend.handleheight": 0.9,
    "legend.handletextpad": 0.5,
    "hatch.linewidth": 0.8,
}
_MEASURED = 300
"""No more letters than these are measured: a command may be a whole file."""
_LEFT_ALONE = ("backend", "backend_fallback")
_SPACES = re.compile(r"\s+")
_LONG = re.compile(r"(\d+\.\d\d)\d+")
_FAMILY = re.compile(r"font-family: [^;]+;? ?")
_POINTER = re.compile(r"#[hmp][0-9a-f]{10}\b")
_COLOUR = re.compile(r"#0000[0-9a-f]{2}\b")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XLINK = "{http://www.w3.org/1999/xlink}href"


class Paint(TypedDict):
    """How the library fills a shape."""

    facecolor: str
    hatch: str
    hatchcolor: str
    linewidth: float


class Picture:
    """A drawing in the making: a figure, and what its parts say."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        self._said: dict[str, str] = {}

    def say(self, part: Artist, text: str) -> None:
        """Let a part tell what it is to whoever points at it."""
        part.set_gid(f"part-{len(self._said)}")
        self._said[f"part-{len(self._said)}"] = text

    def frame(self, *, left: float, right: float, top: float, bottom: float) -> None:
        """Set the room around what is drawn, in units of the picture."""
        self.figure.subplots_adjust(
            left=left / WIDTH,
            right=1 - right / WIDTH,
            top=1 - top / self.height,
            bottom=bottom / self.height,
        )

    def legend(self, keys: Iterable[Patch]) -> None:
        """Explain the colours, above what is drawn."""
        shown = list(keys)
        self.figure.legend(handles=shown, loc="upper left", ncols=len(shown), columnspacing=2)

    def written(self, name: str, title: str, told: str) -> Markup:
        """Write it as SVG for a page.

        `name` is its own on that page; `told` says in words what it shows.
        """
        file = StringIO()
        self.figure.savefig(file, format="svg", metadata={"Date": None})
        root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - written just now
        for element in list(root.iter()):
            _bare(element)
            self._dress(element, name)
        root.attrib = {
            "viewBox": f"0 0 {WIDTH:g} {self.height:g}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
        }
        root.insert(0, _text("title", title, id=f"{name}-title"))
        root.insert(1, _text("desc", told, id=f"{name}-desc"))
        return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - escaped by it

    def _dress(self, element: ElementTree.Element, name: str) -> None:
        """Point to the page's colours; keep ids that are pointed at, unlike those of others."""
        given = element.attrib
        own = given.pop("id", "")
        if own in self._said:
            element.insert(0, _text("title", self._said[own]))
        elif _POINTER.fullmatch(f"#{own}"):
            given["id"] = f"{name}-{own}"
        if "fill" in given:
            given["style"] = f"fill: {given.pop('fill')}"
        for key in given.keys() & {"style", "href", "clip-path", "d", "x", "y"}:
            short = _LONG.sub(r"\1", _SPACES.sub(" ", _FAMILY.sub("", given[key]))).strip()
            pointing = _POINTER.sub(lambda found: f"#{name}-{found[0][1:]}", short)
            given[key] = _COLOUR.sub(lambda found: _VARIABLES[found[0]], pointing)


def _bare(element: ElementTree.Element) -> None:
    """Take out what is the page's own: style, letters; and what no page needs."""
    element.tag = element.tag.rpartition("}")[2]
    element.tail = ""
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
    if element.tag == "text":
        element.attrib.pop("transform", None)
    else:
        element.text = ""
    if _XLINK in element.attrib:
        element.attrib["href"] = element.attrib.pop(_XLINK)


def _text(tag: str, text: str, **given: str) -> ElementTree.Element:
    element = ElementTree.Element(tag, given)
    element.text = writable(text)
    return element


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the house's style, whatever a person's own settings of matplotlib are.

    Letters that its font lacks are no trouble: the browser has them.
    """
    plain = {name: value for name, value in mpl.rcParamsDefault.items() if name not in _LEFT_ALONE}
    with warnings.catch_warnings(), mpl.rc_context(plain | _STYLE):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def painted(name: str, narrowest: float) -> Paint:
    """Give the paint of a kind of outcome for a piece of so many units."""
    hatch = _HATCHES.get(name, "") if narrowest >= _HATCHED else ""
    return Paint(facecolor=COLOURS[name], hatch=hatch, hatchcolor=COLOURS["back"], linewidth=0.0)


def key(name: str, label: str) -> Patch:
    """Give an entry of a legend."""
    return Patch(**painted(name, _HATCHED), label=label)


def width_of(text: str, size: float = LETTERS) -> float:
    """Measure a text, in units of a picture."""
    font = FontProperties(family="DejaVu Sans", size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def fitting(text: str, room: float, size: float = LETTERS) -> str:
    """Cut a text so that it has room on one line."""
    shown = " ".join(writable(text[:_MEASURED]).split())
    if width_of(shown, size) <= room:
        return shown
    while shown and width_of(f"{shown}…", size) > room:
        shown = shown[: min(len(shown) - 1, int(len(shown) * room / width_of(shown, size)) + 1)]
    return f"{shown.rstrip()}…"


def writable(text: str) -> str:
    """Replace what XML cannot hold."""
    return _UNWRITABLE.sub("\ufffd", text)
