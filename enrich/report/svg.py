"""A matplotlib figure as SVG inside a page: text stays text, and the page's style gives the colours."""

import io
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as Xml

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK, FAINT = "#010203", "#010204"
"""Colours to draw text and axes with, and what stays in the background: no colours of their own in the page."""
SERIES = ("#010210", "#010211", "#010212", "#010213", "#010214", "#010215")
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
VARIABLES = {INK: "currentColor", FAINT: "var(--faint)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)
}
NAMESPACE = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
POINTS_TO_PIXELS = 96 / 72

Xml.register_namespace("", NAMESPACE[1:-1])
Xml.register_namespace("xlink", LINK[1:].partition("}")[0])


def inline(figure: Figure, key: str, label: str, tips: Mapping[str, str]) -> Markup:
    """Return a figure as an `<svg>` element.

    Args:
        figure: drawn under `STYLE`, in the colours of this module.
        key: sets the ids of this element apart from those of all others in the page.
        label: what the figure shows, for who cannot see it.
        tips: by the `gid` of an artist, the text that appears when the pointer rests on it.
    """
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format")))
    text = stream.getvalue()
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    root = Xml.fromstring(text)  # noqa: S314
    if (metadata := root.find(f"{NAMESPACE}metadata")) is not None:
        root.remove(metadata)
    width = float(root.attrib.pop("width").removesuffix("pt")) * POINTS_TO_PIXELS
    root.attrib.pop("height")
    root.attrib |= {"role": "img", "aria-label": label, "class": "plot", "style": f"max-width:{width:.0f}px"}
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name is not None and name in tips:
            element.set("class", "tip")
            Xml.SubElement(element, f"{NAMESPACE}title").text = tips[name]
        if name in used:
            element.set("id", f"{key}-{name}")
        for attribute, value in element.attrib.items():
            element.set(attribute, re.sub(r"^(url\()?#", rf"\1#{key}-", value))
    return Markup(Xml.tostring(root, encoding="unicode"))  # noqa: S704
