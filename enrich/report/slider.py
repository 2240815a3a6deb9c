"""What the slider shows: of every test scan a few slices, its channels and segmentations by every method."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import pandas as pd

from enrich.fill import REAL
from enrich.modality import title
from enrich.report.distributions import METRICS
from enrich.report.pictures import Size, grey_picture, outline, size_of
from enrich.report.volumes import Mask, Planes, TestScan, Volumes
from enrich.rows import Row
from enrich.tables.metrics import METRIC


@dataclass(frozen=True)
class Bounds:
    """How much the slider may take.

    Attributes:
        megabytes: of all its pictures and outlines, 10⁶ bytes each.
        slices: of a scan.
        pixels: the longer edge of a picture.
    """

    megabytes: float
    slices: int = 9
    pixels: int = 192


@dataclass(frozen=True)
class Slider:
    """The slider's data and what did not fit.

    Attributes:
        bounds: what was asked for; `slices` is smaller where not even one patient would have fitted.
        data: `scans` and `images`, as the page's script reads them.
        size: bytes of `data` as JSON.
        shown: patients.
        left_out: patients for whom there was no room.
    """

    bounds: Bounds
    data: dict[str, Any] = field(default_factory=lambda: {"scans": [], "images": {}})
    size: int = 0
    shown: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def slider(volumes: Volumes, methods: Sequence[Row], scores: pd.DataFrame, seed: int, bounds: Bounds) -> Slider:
    """Collect the pictures of as many test patients as fit.

    Patients with different modalities take turns, each kind in the order of their names. The segmentations of `volumes`
    are those of seed `seed`.
    """
    rows = volumes.test_rows()
    order = list(_in_turns(rows))
    data: dict[str, Any] = {"scans": [], "images": {}}
    used = 0
    shown: list[str] = []
    for patient in order:
        own = [volumes.read(row) for _, row in rows[rows["patient"] == patient].iterrows()]
        part, size = _patient(volumes, own, methods, scores, seed, bounds)
        while size > bounds.megabytes * 1e6 and bounds.slices > 1 and not shown:
            bounds = Bounds(bounds.megabytes, bounds.slices // 2, bounds.pixels)
            part, size = _patient(volumes, own, methods, scores, seed, bounds)
        if used + size > bounds.megabytes * 1e6:
            break
        data["scans"] += part["scans"]
        data["images"] |= part["images"]
        used += size
        shown.append(patient)
    return Slider(bounds, data, used, tuple(shown), tuple(order[len(shown) :]))


def _in_turns(rows: pd.DataFrame) -> Iterator[str]:
    kinds: dict[tuple[str, ...], list[str]] = {}
    for patient, own in rows.groupby("patient", sort=True):
        kinds.setdefault(tuple(sorted(set(own["modality"]))), []).append(str(patient))
    yield from (name for name in chain.from_iterable(zip_longest(*kinds.values())) if name is not None)


def _patient(
    volumes: Volumes, scans: Sequence[TestScan], methods: Sequence[Row], scores: pd.DataFrame, seed: int, bounds: Bounds
) -> tuple[dict[str, Any], int]:
    """Return a patient's part of the data, and its bytes as JSON."""
    images: dict[str, list[str]] = {}
    part = {"scans": [_scan(volumes, scan, methods, scores, seed, bounds, images) for scan in scans], "images": images}
    return part, len(json.dumps(part))


def _scan(
    volumes: Volumes,
    scan: TestScan,
    methods: Sequence[Row],
    scores: pd.DataFrame,
    seed: int,
    bounds: Bounds,
    images: dict[str, list[str]],
) -> dict[str, Any]:
    """Return what the page is told of a scan; its pictures, and those of its channels, are added to `images`."""
    size, slices = size_of(scan.axial, bounds.pixels), slices_through(scan.reference, bounds.slices)
    case, modality = scan.row["case"], scan.row["modality"]
    source = f"{case} {modality}"
    images[source] = _pictures(scan.axial.array, slices, size)
    own = scores[(scores["case"] == case) & (scores["modality"] == modality)]
    shown = []
    for method in methods:
        prediction = volumes.prediction(method.name, scan)
        if prediction is None:
            continue
        name = method.translator or method.name.partition("@")[0]
        channels = []
        for target, of in volumes.channels(name, scan) if method.use == "channels" else []:
            key = f"{source} {target} {name}"
            if key not in images:
                images[key] = _pictures(volumes.channel(name, scan, target), slices, size)
            channels.append({"title": _made(target, of, method), "images": key})
        about = own[own["method"] == method.name]
        values = {
            "title": method.title,
            "channels": channels,
            "made": method.translator is not None,
            "prediction": _outlines(prediction, slices, size),
        }
        shown.append(values | {"scores": _scores(about, seed)})
    patient = "" if scan.row["patient"] == case else f", patient {scan.row['patient']}"
    return {
        "title": f"{title(modality)} of {case}{patient}",
        "modality": title(modality),
        "width": size.width,
        "height": size.height,
        "slices": [number + 1 for number in slices],
        "depth": len(scan.reference),
        "source": source,
        "reference": _outlines(scan.reference, slices, size),
        "methods": shown,
        "start": next((number for number, one in enumerate(shown) if one["channels"] and one["made"]), 0),
    }


def _made(target: str, of: str | None, method: Row) -> str:
    """Say what a channel is: `of` as `enrich.fill` has it, None where everything is made of the scan."""
    if of == REAL:
        return f"real {title(target)} channel"
    if method.translator is None:
        return f"{title(target)} channel"
    sources = f", made of {' and '.join(map(title, of.split('+')))}" if of else ""
    return f"synthetic {title(target)} channel{sources}"


def slices_through(mask: Mask, count: int) -> list[int]:
    """Return up to `count` evenly spaced slices from just below a mask to just above it; of all, if it is empty."""
    found = np.flatnonzero(mask.any(axis=(1, 2)))
    first, last = (found[0] - 1, found[-1] + 1) if len(found) else (0, len(mask) - 1)
    if count == 1:
        return [int((first + last) // 2)]
    spaced = np.linspace(max(first, 0), min(last, len(mask) - 1), count)
    return [int(number) for number in np.unique(np.rint(spaced))]


def _pictures(planes: Planes, slices: Sequence[int], size: Size) -> list[str]:
    return [grey_picture(planes[number], size) for number in slices]


def _outlines(mask: Mask, slices: Sequence[int], size: Size) -> list[str]:
    return [outline(mask[number], size) for number in slices]


def _scores(rows: pd.DataFrame, seed: int) -> str:
    """Return a case's scores under the seed that is shown, and their means over seeds if there are several."""
    if rows.empty:
        return ""
    text = _text(rows[rows["seed"] == seed])
    return (
        text if len(rows) == 1 else f"{text} with seed {seed}, which is shown; mean of {len(rows)} seeds {_text(rows)}"
    )


def _text(rows: pd.DataFrame) -> str:
    parts = []
    for metric in METRICS:
        value = float(rows[metric].mean(skipna=False))
        shown = "undefined" if math.isnan(value) else f"{value:.1f} %"
        parts.append(f"{METRIC[metric].name.removesuffix(' (%)')} {shown}")
    return ", ".join(parts)
