"""DICOM slices of one series, and the volume that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from enrich.volume import Volume, compact
from gan.errors import InputError
from gan.memory import out_of_memory

GAP_TOLERANCE = 0.05  # of the typical gap between slices
SHEAR_TOLERANCE = 0.5  # of a pixel, from the first slice to the last
COSINE_TOLERANCE = 1e-3
SPACING_TOLERANCE_MM = 1e-4
LARGEST_SLICE = 1 << 26  # pixels: 8192²

config.settings.reading_validation_mode = config.IGNORE  # its warnings quote values, be they birth dates

IDENTITY = {
    "PatientID": "patients",
    "StudyInstanceUID": "studies",
    "FrameOfReferenceUID": "frames of reference",
    "SeriesInstanceUID": "series",
}
"""What all slices of a series share, and what they are of where they do not."""


@dataclass(frozen=True)
class Slice:
    """One DICOM file.

    Attributes:
        path: the file.
        pixels: rescaled intensities, (Y, X), float32.
        spacing_mm: (x, y), the distance between columns and that between rows.
        axes: unit vectors along a row and along a column, (2, 3), in the LPS frame.
        position_mm: centre of the first pixel, (3,), in the LPS frame.
        identity: the value of each tag of `IDENTITY`, empty where the file, perhaps an anonymized one, has none.
    """

    path: Path
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    axes: NDArray[np.float64]
    position_mm: NDArray[np.float64]
    identity: Mapping[str, str]


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder that holds one series.

    Raises:
        InputError: an empty folder.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise InputError(folder, "no file", "those of one DICOM series")
    return files


def read_header(path: Path) -> pydicom.Dataset:
    """Read all but the pixels.

    Raises:
        InputError: the file is no DICOM file, or a deflated one, of which nobody knows the size before it is inflated.
    """
    try:
        if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            raise InputError(path, "a deflated file", "a DICOM file of another transfer syntax")
        return pydicom.dcmread(path, stop_before_pixels=True)
    except InputError:
        raise
    except Exception as error:  # whatever pydicom makes of broken bytes
        if out_of_memory(error):
            raise
        raise InputError(path, f"an unreadable or truncated file ({type(error).__name__})", "a DICOM file") from error


def window_hu(path: Path) -> tuple[float, float] | None:
    """Return the first display window of a CT file, centre ± half the width, or None where it lacks either.

    Raises:
        InputError: the file is no DICOM file, or its window is not two numbers with a positive width.
    """
    header = read_header(path)
    try:
        given = [header.get(tag) for tag in ("WindowCenter", "WindowWidth")]
        if None in given:
            return None
        centre, width = (float(np.atleast_1d(value)[0]) for value in given)
        if not (np.isfinite(centre) and 0 < width < np.inf):
            raise ValueError
        low, high = centre - width / 2, centre + width / 2
        if not low < high:
            raise ValueError
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(path, "a broken display window", "a WindowCenter and a WindowWidth above 0") from error
    return low, high


def read_slice(path: Path) -> Slice:
    """Read one slice and rescale its intensities with the file's own slope and intercept.

    Padding stays as the file has it.

    Raises:
        InputError: the file is unreadable or truncated, lacks its place in space, or is not one grey image of finite
            intensities.
    """
    header = read_header(path)
    try:
        size = [int(header.get(tag) or 1) for tag in ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")]
        if not 0 < size[0] * size[1] <= LARGEST_SLICE or size[2:] != [1, 1]:
            raise InputError(path, f"{' × '.join(map(str, size))} pixels", f"one grey slice of {LARGEST_SLICE} at most")
        data = pydicom.dcmread(path)
        pixels = data.pixel_array.astype(np.float32)
        pixels = pixels * np.float32(data.get("RescaleSlope", 1)) + np.float32(data.get("RescaleIntercept", 0))
        row_mm, column_mm = (float(value) for value in data.PixelSpacing)
        axes = np.array(data.ImageOrientationPatient, dtype=float).reshape(2, 3)
        position_mm = np.array(data.ImagePositionPatient, dtype=float).reshape(3)
        identity = {tag: str(data.get(tag) or "") for tag in IDENTITY}
    except InputError:
        raise
    except Exception as error:  # whatever pydicom makes of broken bytes or missing tags
        if out_of_memory(error):
            raise
        found = f"an unreadable or truncated file ({type(error).__name__})"
        raise InputError(path, found, "a DICOM slice with pixels, spacing, orientation and position") from error
    if not np.isfinite(pixels).all():
        raise InputError(path, "NaN or infinite intensities", "finite ones")
    if pixels.ndim != 2:
        raise InputError(path, f"pixels of shape {pixels.shape}", "one grey slice")
    if min(row_mm, column_mm) <= 0 or not np.allclose(axes @ axes.T, np.eye(2), atol=COSINE_TOLERANCE):
        found = f"pixel spacing {row_mm, column_mm} mm and axes {axes.tolist()}"
        raise InputError(path, found, "a positive spacing and orthogonal unit axes")
    return Slice(path, pixels, (column_mm, row_mm), axes, position_mm, identity)


def require_one_series(slices: Sequence[Slice]) -> None:
    """Require slices of one patient, study, frame of reference and series.

    Raises:
        InputError: slices of several; names their folder and two of them, never a patient.
    """
    for tag, kind in IDENTITY.items():
        files = {s.identity[tag]: s.path for s in slices}
        if len(files) > 1:
            one, other, *_ = files.values()
            found = f"{len(files)} {kind} ({tag} of {one.name} and {other.name} differ)"
            raise InputError(one.parent, found, "one DICOM series")


def stack(slices: Sequence[Slice]) -> tuple[Volume, list[int]]:
    """Stack slices along their normal; spacing between slices comes from their positions alone.

    Returns:
        The volume, int16 where that is exact and float32 elsewhere, and the index into `slices` of each of its slices.

    Raises:
        InputError: fewer than two slices, a constant image, slices of different grids or at uneven distances.
    """
    first = slices[0]
    if len(slices) < 2:
        raise InputError(first.path, "a single slice", "a series of slices")
    for other in slices:
        _require_same_plane(other, first)
    voxels = np.stack([s.pixels for s in slices])
    if voxels.min() == voxels.max():
        raise InputError(first.path.parent, f"a constant image of {voxels.min()}", "an image")
    normal = np.cross(*first.axes)
    heights = np.array([s.position_mm @ normal for s in slices])
    order = np.argsort(heights, kind="stable").tolist()
    gaps = np.diff(heights[order])
    typical = float(np.median(gaps))
    for (below, above), gap in zip(pairwise(order), gaps, strict=True):
        if gap == 0 or abs(gap - typical) > GAP_TOLERANCE * typical:
            found = f"{gap:.4g} mm from {slices[below].path.name}"
            raise InputError(slices[above].path, found, f"{typical:.4g} mm as between most slices")
    bottom, top = slices[order[0]], slices[order[-1]]
    shift = np.abs(first.axes @ (top.position_mm - bottom.position_mm)).max()
    if shift > SHEAR_TOLERANCE * min(first.spacing_mm):
        found = f"{shift:.4g} mm beside {bottom.path.name}"
        raise InputError(top.path, found, "slices straight above each other")
    volume = Volume(
        compact(voxels[order]),
        (*first.spacing_mm, float(gaps.mean())),
        tuple(bottom.position_mm.tolist()),
        tuple(np.stack([*first.axes, normal], axis=1).ravel().tolist()),
    )
    return volume, order


def _require_same_plane(found: Slice, expected: Slice) -> None:
    if (
        found.pixels.shape != expected.pixels.shape
        or not np.allclose(found.spacing_mm, expected.spacing_mm, rtol=0, atol=SPACING_TOLERANCE_MM)
        or not np.allclose(found.axes, expected.axes, rtol=0, atol=COSINE_TOLERANCE)
    ):
        raise InputError(found.path, _plane(found), f"{_plane(expected)} as {expected.path.name}")


def _plane(one: Slice) -> str:
    return f"{one.pixels.shape} pixels, spacing {one.spacing_mm} mm, axes {one.axes.tolist()}"
