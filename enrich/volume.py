"""Volumes and their grids: the only module that imports SimpleITK."""

from __future__ import annotations

import errno
import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import tifffile
from numpy.typing import NDArray

from enrich import nifti
from gan.errors import InputError
from gan.files import publish
from gan.memory import out_of_memory
from gan.reading import is_file

GRID_TOLERANCE_MM = 1e-3
AXES_TOLERANCE = 1e-3  # of direction cosines
LARGEST_VOXELS = 1 << 30  # of a scan: 1024³
PAIRS = (".hdr", ".img", ".img.gz", ".nia", ".nia.gz")  # NIfTI's and Analyze's, of which ITK fills up what is cut off


@dataclass(frozen=True)
class Volume:
    """Voxels and the grid they lie on, in the patient's LPS frame.

    Attributes:
        array: voxels, (Z, Y, X).
        spacing_mm: (x, y, z).
        origin_mm: centre of the first voxel, (x, y, z).
        direction: 3×3 direction cosines, row by row; its columns are the axes x, y, z of the array.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def with_array(self, array: NDArray[Any]) -> Volume:
        """Return other voxels on the same grid; `array` has this volume's shape."""
        if array.shape != self.array.shape:
            raise ValueError(f"array of shape {array.shape} on a grid of shape {self.array.shape}")
        return replace(self, array=array)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000

    @property
    def orientation(self) -> str:
        """Where the axes x, y, z of the array point to, as a DICOM code: `LPS` is left, posterior, superior."""
        return str(sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(self.direction))


def same_grid(first: Volume, second: Volume) -> bool:
    """Whether two volumes have equal shape, and equal spacing, origin and direction up to a thousandth."""
    return first.array.shape == second.array.shape and all(
        np.allclose(a, b, rtol=0, atol=GRID_TOLERANCE_MM)
        for a, b in (
            (first.spacing_mm, second.spacing_mm),
            (first.origin_mm, second.origin_mm),
            (first.direction, second.direction),
        )
    )


def describe_grid(volume: Volume) -> str:
    """Return a grid as text for an error message."""
    return (
        f"shape {volume.array.shape}, spacing {np.round(volume.spacing_mm, 4).tolist()} mm, "
        f"origin {np.round(volume.origin_mm, 3).tolist()} mm, orientation {volume.orientation}"
    )


def compact(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return voxels as int16 where that is exact, else as float32."""
    with np.errstate(invalid="ignore"):
        as_int16 = voxels.astype(np.int16)
    return as_int16 if np.array_equal(as_int16, voxels) else voxels.astype(np.float32)


def require_same_grid(path: Path, found: Volume, expected: Volume) -> None:
    """Raise an `InputError` naming `path` where the two grids differ."""
    if not same_grid(found, expected):
        raise InputError(path, f"a grid of {describe_grid(found)}", f"{describe_grid(expected)}")


def crop(volume: Volume, box: tuple[slice, ...]) -> Volume:
    """Return the part of a volume in a `box` of its array, (Z, Y, X), where it lies."""
    start = np.array([part.indices(size)[0] for part, size in zip(box, volume.array.shape, strict=True)][::-1])
    shift = np.array(volume.direction).reshape(3, 3) @ (start * volume.spacing_mm)
    origin = tuple(float(value) for value in np.array(volume.origin_mm) + shift)
    return replace(volume, array=np.ascontiguousarray(volume.array[box]), origin_mm=origin)


def n4(volume: Volume, inside: NDArray[np.bool_], shrink: int) -> Volume:
    """Divide a volume by its bias field, estimated by N4ITK on every `shrink`-th voxel `inside`; as float32.

    Source: Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 2010; SimpleITK's defaults.
    """
    image = _to_sitk(replace(volume, array=volume.array.astype(np.float32)))
    mask = _to_sitk(replace(volume, array=inside.astype(np.uint8)))
    factors = [min(shrink, size) for size in image.GetSize()]
    estimate = sitk.N4BiasFieldCorrectionImageFilter()
    estimate.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    field = np.exp(sitk.GetArrayFromImage(estimate.GetLogBiasFieldAsImage(image)))
    return replace(volume, array=volume.array.astype(np.float32) / field)


def reorient(volume: Volume, orientation: str) -> Volume:
    """Flip and permute the axes towards `orientation`; no voxel is interpolated."""
    return _from_sitk(sitk.DICOMOrient(_to_sitk(volume), orientation))


def resample(volume: Volume, grid: Volume) -> tuple[Volume, float]:
    """Resample a volume onto another grid in the same frame; nothing is registered.

    Args:
        volume: what is resampled, linearly, and 0 beyond its edge.
        grid: the wanted grid.

    Returns:
        The volume, of the same type, integers rounded; and the share of the wanted voxels that lie within it.
    """
    onto, kind = _to_sitk(grid), volume.array.dtype
    ones = _to_sitk(volume.with_array(np.ones(volume.array.shape, np.uint8)))
    within = sitk.Resample(ones, onto, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    image = _to_sitk(volume.with_array(volume.array.astype(np.float32)))
    found = sitk.GetArrayFromImage(sitk.Resample(image, onto, sitk.Transform(), sitk.sitkLinear, 0))
    found = (np.rint(found) if np.issubdtype(kind, np.integer) else found).astype(kind)
    return grid.with_array(found), float(sitk.GetArrayViewFromImage(within).mean())


def placed(part: Volume, whole: Volume) -> Volume:
    """Return a label map on the grid of the volume that it was cropped from, 0 where that reaches farther."""
    if same_grid(part, whole):
        return part
    onto = _to_sitk(whole)
    found = sitk.Resample(_to_sitk(part), onto, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return whole.with_array(sitk.GetArrayFromImage(found))


def read(path: Path, channel: int | None = None) -> Volume:
    """Read an image of any format that ITK knows: a volume, a plane as one of one slice, or a `channel` of a 4-D one.

    Raises:
        InputError: the file is missing, unreadable or truncated, has voxels that are not finite, or is of other
            dimensions, or of several channels in each voxel.
    """
    reader = _open(path, channel)
    if _is_nifti(path):
        nifti.require_voxels(path)
    if path.name.lower().endswith((".tif", ".tiff")):
        _require_whole_tiff(path)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise InputError(path, "unreadable voxels", "an image") from error
    if channel is not None:
        image = sitk.Extract(image, [*image.GetSize()[:3], 0], [0, 0, 0, channel])
    found = _from_sitk(image if image.GetDimension() == 3 else sitk.JoinSeries(image))
    if not np.isfinite(found.array).all():
        raise InputError(path, "NaN or infinite voxels", "finite ones")
    return found


def read_grid(path: Path) -> Volume:
    """Read the header of a volume or a plane: a volume on the file's grid, whose voxels are all 0 and take no memory.

    Raises:
        InputError: the file is missing, has no readable header, or is not an image as `read` takes it.
    """
    reader = _open(path, None)
    if reader.GetDimension() == 2:
        (a, b, c, d), (x, y) = reader.GetDirection(), reader.GetOrigin()
        zeros = np.broadcast_to(np.uint8(0), (1, *reader.GetSize()[::-1]))
        return Volume(zeros, (*reader.GetSpacing(), 1.0), (x, y, 0.0), (a, b, 0.0, c, d, 0.0, 0.0, 0.0, 1.0))
    zeros = np.broadcast_to(np.uint8(0), reader.GetSize()[::-1])
    return Volume(zeros, reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _open(path: Path, channel: int | None) -> sitk.ImageFileReader:
    if not is_file(path):
        raise InputError(path, "no such file", "an image")
    if path.suffix == ".gz" and path.with_suffix("").exists():  # SimpleITK would open that one instead
        raise InputError(path, f"{path.with_suffix('').name} beside it", "only one of the two")
    if path.name.lower().endswith(PAIRS):
        raise InputError(path, "one file of a pair", "a NIfTI file, .nii or .nii.gz")
    reader = sitk.ImageFileReader()
    if _is_nifti(path):
        nifti.require_header(path)
        reader.SetImageIO("NiftiImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(path, "an unreadable header", "an image") from error
    dimensions, wanted = reader.GetDimension(), (2, 3) if channel is None else (4,)
    if dimensions not in wanted or reader.GetNumberOfComponents() != 1:
        found = f"{dimensions} dimensions and {reader.GetNumberOfComponents()} channels"
        raise InputError(path, found, f"{' or '.join(map(str, wanted))} dimensions and 1 channel")
    if math.prod(reader.GetSize()) > LARGEST_VOXELS:
        raise InputError(path, f"{' × '.join(map(str, reader.GetSize()))} voxels", f"at most {LARGEST_VOXELS}")
    axes = np.reshape(reader.GetDirection(), (dimensions, dimensions))
    if not np.allclose(axes.T @ axes, np.eye(dimensions), atol=AXES_TOLERANCE) or not (
        np.isfinite([*reader.GetSpacing(), *reader.GetOrigin()]).all() and min(reader.GetSpacing()) > 0
    ):
        found = f"spacing {reader.GetSpacing()}, origin {reader.GetOrigin()}, axes {axes.tolist()}"
        raise InputError(path, found, "a spacing above 0, a finite origin and orthogonal unit axes")
    if channel is not None and channel >= reader.GetSize()[3]:
        raise InputError(path, f"{reader.GetSize()[3]} volumes", f"at least {channel + 1}")
    return reader


def _require_whole_tiff(path: Path) -> None:
    """Raise where the file lacks voxels or pages: SimpleITK would make them 0 or leave them out, silently."""
    try:
        with tifffile.TiffFile(path) as file:
            ends = [
                sum(part) for page in file.pages for part in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            file.filehandle.seek(file.pages.next_page_offset)
            last = file.filehandle.read(file.tiff.offsetsize)  # the place of a further page: 0, there is none
            whole = last == bytes(file.tiff.offsetsize) and max(ends) <= file.filehandle.size
    except (tifffile.TiffFileError, AttributeError, LookupError, OSError, TypeError, ValueError, struct.error) as error:
        raise InputError(path, f"an unreadable file ({type(error).__name__})", "a TIFF image") from error
    if not whole:
        raise InputError(path, "a truncated file", "a whole one")


def write(volume: Volume, path: Path) -> None:
    """Write a NIfTI file, complete or not at all.

    Raises:
        OSError: it could not be written whole, of which ITK says nothing.
    """
    with publish(path) as temporary:
        sitk.WriteImage(_to_sitk(volume), str(temporary), useCompression=True)
        try:
            nifti.require_voxels(temporary)
        except InputError as error:
            raise OSError(errno.EIO, f"{error.args[1]} after it was written", str(path)) from error


def _from_sitk(image: sitk.Image) -> Volume:
    return Volume(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def _to_sitk(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction)
    return image
