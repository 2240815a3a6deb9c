"""The scans that a bundle is given, checked as far as tables and headers tell before a model is loaded."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import volume
from enrich.bundle import Bundle
from enrich.datasets import dicom, table
from enrich.modality import is_ct
from enrich.scan import Scan, Structures
from enrich.structures import parts
from enrich.volume import Volume
from gan.errors import InputError

IMAGES = Path("--image")
"""What error messages name where the scans are no table's."""

Cases = dict[str, list[Scan]]
Voxels = tuple[Volume, Volume | None]


def rows_of(images: Sequence[tuple[str, Path]]) -> pd.DataFrame:
    """Return the scans of one case, (modality, image), as rows of a table."""
    rows = [("case", "case", name, str(path.absolute()), "") for name, path in images]
    return pd.DataFrame(rows, columns=["case", "patient", "modality", "image", "label"])


def read_structures(text: str) -> Structures:
    """Read the values that make up each structure, as JSON.

    Raises:
        InputError: something else.
    """
    try:
        found = {name: tuple(values) for name, values in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        found = {}
    numbers = [number for values in found.values() for number in values or [0]]
    if not numbers or not all(type(number) is int and number > 0 for number in numbers):
        raise InputError("--structures", text, 'values above 0 of every structure as JSON, such as {"liver": [1]}')
    return found


def label_values(found: Bundle, given: Structures | None) -> Mapping[str, Structures]:
    """Return what the values in the label maps of each modality mean: as in the data that trained, or as `given`.

    Raises:
        InputError: label maps that do not become those that the segmenter knows.
    """
    if given is None:
        return found.label_values
    for modality, values in found.structures.of.items():
        own = {name: given[name] for name in values if name in given}
        if own.keys() != values.keys() or parts(own, list(values))[1] != values:
            named = ", ".join(f"{name} {list(own.get(name, ()))}" for name in values)
            known = ", ".join(f"{name} {list(found.label_values[modality][name])}" for name in values)
            raise InputError("--structures", named, f"structures that share values as {known} in {modality}")
    return dict.fromkeys(found.modalities, given)


def cases_of(
    rows: pd.DataFrame,
    where: Path,
    found: Bundle,
    values: Mapping[str, Structures],
    labelled: bool = False,
    window_hu: tuple[float, float] | None = None,
) -> Cases:
    """Return the scans of every case; of voxels nothing is read yet.

    Args:
        rows: as `table.read_rows` returns them.
        where: the table, to which paths are relative.
        found: the bundle.
        values: what the values in label maps mean, by modality.
        labelled: require a label map of every scan; otherwise none is read.
        window_hu: display window of a CT whose files hold none.

    Raises:
        InputError: no row, a window without width, an empty field, a missing or unreadable file, a modality that the
            bundle does not know or one twice in a case, or a CT without the window that the translator needs.
    """
    if rows.empty:
        raise InputError(where, "no case", "at least one row")
    if window_hu is not None and window_hu[0] >= window_hu[1]:
        raise InputError("--window-hu", window_hu, "a lower and then an upper bound")
    cases: Cases = {}
    for scan, label in _scans(rows, where, labelled):
        own = cases.setdefault(scan.case, [])
        if scan.modality not in found.modalities:
            raise InputError(scan.path, f"modality {scan.modality}", f"one of {', '.join(found.modalities)}")
        if scan.modality in {other.modality for other in own}:
            raise InputError(scan.path, f"a second {scan.modality} of case {scan.case}", "one of each modality")
        if own and scan.patient != own[0].patient:
            raise InputError(where, f"case {scan.case} of {own[0].patient} and {scan.patient}", "one patient")
        _require_headers(scan.path, label)
        window = scan.window_hu or window_hu
        if is_ct(scan.modality) and window is None and found.needs_window:
            expected = "one in its DICOM files, or --window-hu LOW HIGH: the run's intensity preset is paper"
            raise InputError(scan.path, "a CT without a display window", expected)
        voxels = partial(_read, scan, label, values[scan.modality])
        own.append(replace(scan, structures=values[scan.modality], voxels=voxels, window_hu=window))
    return cases


def _scans(rows: pd.DataFrame, where: Path, labelled: bool) -> Iterator[tuple[Scan, Path | None]]:
    """Yield every scan, and the path of its label map."""
    rows = rows if labelled else rows.assign(label="")
    for scan, label in zip(table.scans_of(rows, where.parent, {}), rows["label"], strict=True):
        if labelled and not label:
            raise InputError(where, f"no label of the {scan.modality} of case {scan.case}", "one to score against")
        yield scan, where.parent / label if label else None


def _require_headers(image: Path, label: Path | None) -> None:
    """Require files whose headers can be read, and an image file and its label map on one grid."""
    if image.is_dir():
        for file in dicom.files_of(image):
            dicom.read_header(file)
    grid = None if image.is_dir() else volume.read_grid(image)
    if label is not None:
        found = volume.read_grid(label)
        volume.require_same_grid(label, found, grid or found)


def _read(scan: Scan, label: Path | None, values: Structures) -> Voxels:
    """Read a scan and its label map, whose values must be known.

    Raises:
        InputError: an unreadable file, or an unknown value; names the label map.
    """
    image, mask = scan.voxels()
    if mask is not None and label is not None:
        known = sorted({0}.union(*values.values()))
        if unknown := sorted(set(np.unique(mask.array).tolist()) - set(known)):
            raise InputError(label, f"label values {unknown[:8]}", f"only {known}, or others with --structures")
    return image, mask
