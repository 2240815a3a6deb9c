"""Axial slices as small pictures inside a page: grey values as WebP, masks as outlines."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from enrich.volume import Volume
from gan.errors import InputError
from gan.files import checked

PNG = b"\x89PNG\r\n\x1a\n"
QUALITY = 80
TOLERANCE_PIXELS = 0.3
DIFFERENCE = "berlin"
DIFFERENCE_LIMIT = 0.5


@dataclass(frozen=True)
class Size:
    """Size of a picture in square pixels."""

    width: int
    height: int


def size_of(axial: Volume, limit: int) -> Size:
    """Return the size of an axial scan's pictures: its own, or smaller, such that no edge exceeds `limit` pixels."""
    _, rows, columns = axial.array.shape
    x_mm, y_mm, _ = axial.spacing_mm
    height = rows * y_mm / x_mm
    scale = min(1.0, limit / max(height, columns))
    return Size(max(1, round(columns * scale)), max(1, round(height * scale)))


def grey_picture(plane: NDArray[np.floating], size: Size) -> str:
    """Return a slice (Y, X) between black 0 and white 1 as a data URI."""
    return _uri(Image.fromarray(np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)), size)


def difference_picture(difference: NDArray[np.floating], size: Size) -> str:
    """Return a difference (Y, X) of two such slices as a data URI; black is none, full colour `DIFFERENCE_LIMIT`."""
    position = np.clip(difference / DIFFERENCE_LIMIT / 2 + 0.5, 0, 1)
    colours = mpl.colormaps[DIFFERENCE](position, bytes=True)
    return _uri(Image.fromarray(colours[..., :3]), size)


def difference_stops(count: int = 9) -> list[str]:
    """Return the colours from the lowest to the highest difference, evenly spaced."""
    return [mpl.colors.to_hex(mpl.colormaps[DIFFERENCE](position)) for position in np.linspace(0, 1, count)]


def data_uri(path: Path) -> str:
    """Return a PNG file as it is.

    Raises:
        InputError: no file, or another one.
    """
    checked(path)
    content = path.read_bytes()
    if not content.startswith(PNG):
        raise InputError(path, "no PNG", "a figure")
    return "data:image/png;base64," + base64.b64encode(content).decode()


def outline(mask: NDArray[np.bool_], size: Size) -> str:
    """Return the outlines of a mask (Y, X) as data of an SVG path in the picture's pixels; nothing if it is empty."""
    scale = np.array([size.height, size.width]) / mask.shape
    parts = []
    for contour in find_contours(np.pad(mask, 1).astype(float), 0.5):
        points = approximate_polygon((contour - 0.5) * scale, TOLERANCE_PIXELS)
        parts.append("M" + " ".join(f"{x:.1f},{y:.1f}" for y, x in points[:-1]) + "Z")
    return "".join(parts)


def _uri(image: Image.Image, size: Size) -> str:
    if image.size != (size.width, size.height):
        image = image.resize((size.width, size.height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
