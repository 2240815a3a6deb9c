"""NIfTI files, checked before ITK opens them: it believes what a header says and fills up what is not there.

Source of the layout: nifti1.h, https://nifti.nimh.nih.gov.
"""

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan.errors import InputError

LARGEST_BYTES = 1 << 33  # of the voxels of a file: 1024³ in float64
LARGEST_OFFSET = 1 << 26  # bytes before the voxels: the header and its extensions
LARGEST_REST = 1 << 12  # bytes after the voxels, which a writer may pad with
CHUNK = 1 << 20
ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
FORM_TOLERANCE_MM = 1e-3
TURN_TOLERANCE = 1e-5
CODES = range(6)  # of what a place in space refers to
SMALLEST_SCALE = 2.0**-52  # below it ITK takes 1
FLOATS = {16: "f4", 64: "f8"}  # the codes of types that can hold NaN

FIELDS = [
    *[("size", "i4", 0), ("dim", "8i2", 40), ("datatype", "i2", 70), ("bitpix", "i2", 72), ("pixdim", "8f4", 76)],
    *[("vox_offset", "f4", 108), ("scale", "2f4", 112), ("qform_code", "i2", 252), ("sform_code", "i2", 254)],
    *[("quaternion", "6f4", 256), ("srow", "(3,4)f4", 280), ("magic", "S4", 344)],
]
NAMES, FORMATS, OFFSETS = (list(column) for column in zip(*FIELDS, strict=True))
HEADER = np.dtype({"names": NAMES, "formats": FORMATS, "offsets": OFFSETS, "itemsize": 348})
"""The fields that say where voxels are, in the file and in space."""


def require_header(path: Path) -> None:
    """Require a header that ITK reads as it is meant.

    Raises:
        InputError: no NIfTI file, sizes that are no scan's, or a place in space that is not finite or says two things.
    """
    try:
        with _opened(path) as stream:
            _read_header(path, stream)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, "an unreadable header", "that of a NIfTI-1 file") from error


def require_voxels(path: Path) -> None:
    """Require all voxels that the header tells of, finite ones, and nothing after them; a chunk is in memory at a time.

    Raises:
        InputError: a truncated or damaged file, or one with more in it than its header says.
    """
    try:
        with _opened(path) as stream:
            header = _read_header(path, stream)
            length = missing = _length(header)
            kind = FLOATS.get(int(header["datatype"]))
            stream.seek(int(header["vox_offset"]))
            while missing and (chunk := stream.read(min(CHUNK, missing))):
                missing -= len(chunk)
                number = np.dtype(header["dim"].dtype.byteorder + kind) if kind else None
                if number and not np.isfinite(np.frombuffer(chunk, number, len(chunk) // number.itemsize)).all():
                    raise InputError(path, "NaN or infinite voxels", "finite ones")
            rest = 0 if missing else len(stream.read(LARGEST_REST + 1))
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, "a truncated or damaged file", "a whole one") from error
    if missing:
        raise InputError(path, f"a truncated file with {length - missing} bytes of voxels", length)
    if rest > LARGEST_REST:
        raise InputError(path, f"more than the {length} bytes of its voxels", "a header that tells of all")


def _opened(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_header(path: Path, stream: BufferedIOBase) -> Any:
    content = stream.read(HEADER.itemsize)
    orders = [order for order in ORDERS if content[:4] == np.array(HEADER.itemsize, f"{order}i4").tobytes()]
    if not orders or len(content) < HEADER.itemsize:
        raise InputError(path, "an unreadable header", "that of a NIfTI-1 file")
    header = np.frombuffer(content, HEADER.newbyteorder(orders[0]))[0]
    dimensions, sizes, length = header["dim"][0], _sizes(header), _length(header)
    if header["magic"] != b"n+1":
        raise InputError(path, f"the header of another kind of file, {header['magic']!r}", "that of a NIfTI-1 file")
    if not 1 <= dimensions <= 7 or min(sizes) < 1:
        raise InputError(path, f"the sizes {header['dim'].tolist()}", "the number of axes, then sizes of at least 1")
    if not 0 < length <= LARGEST_BYTES:
        found = f"{' × '.join(map(str, sizes))} voxels of {header['bitpix']} bits"
        raise InputError(path, found, f"at most {LARGEST_BYTES} bytes")
    if not HEADER.itemsize < header["vox_offset"] <= LARGEST_OFFSET:
        raise InputError(path, f"voxels from byte {header['vox_offset']} on", f"from 352 to {LARGEST_OFFSET}")
    scale = np.where(np.isnan(header["scale"]), 0, header["scale"])  # as ITK reads them
    if scale.any() and (np.isnan(header["scale"]).any() or not SMALLEST_SCALE <= abs(scale[0]) < np.inf):
        found = f"slope and intercept {header['scale'].tolist()}"
        raise InputError(path, found, "numbers, or both 0 or NaN for no scaling")
    _require_place(path, header)
    return header


def _sizes(header: Any) -> list[int]:
    return [int(size) for size in header["dim"][1 : max(1, header["dim"][0]) + 1]]


def _length(header: Any) -> int:
    """Return the bytes of all voxels."""
    return math.prod(_sizes(header)) * int(header["bitpix"]) // 8


def _require_place(path: Path, header: Any) -> None:
    """Require a finite place in space, and a spacing that both the header and its affine say."""
    codes, turn = [int(header[name]) for name in ("qform_code", "sform_code")], header["quaternion"][:3].astype(float)
    if not all(code in CODES for code in codes):
        raise InputError(path, f"qform_code and sform_code {codes}", f"codes up to {CODES[-1]}")
    axes = min(int(header["dim"][0]), 3)
    spacing, affine = header["pixdim"][1 : axes + 1].astype(float), header["srow"].astype(float)
    placed = [header["pixdim"][:1].astype(float), header["quaternion"].astype(float)] if codes[0] else []
    placed += [affine] if codes[1] else []
    if not all(np.isfinite(numbers).all() for numbers in [spacing, *placed]) or spacing.min() <= 0:
        found = f"spacing {spacing.tolist()} mm and the place {[numbers.tolist() for numbers in placed]}"
        raise InputError(path, found, "finite numbers, and a spacing above 0")
    if codes[0] and turn @ turn > 1 + TURN_TOLERANCE:
        raise InputError(path, f"the quaternion {turn.tolist()}", "one of a rotation, of length 1 at most")
    norms = np.sqrt((affine[:, :axes] ** 2).sum(axis=0))
    if codes[1] and not np.allclose(norms, spacing, rtol=0, atol=FORM_TOLERANCE_MM):
        found, expected = (np.round(values, 4).tolist() for values in (spacing, norms))
        raise InputError(path, f"spacing {found} mm", f"{expected} as its affine (sform) says")
