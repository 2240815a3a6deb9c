"""CHAOS (Kavur et al., Medical Image Analysis 2021): abdominal CT of some people, MR T1-DUAL and T2-SPIR of others.

The CT of patient `1` is case `ct01` with modality ct; the MR of another patient `1` is case `mr01` with modalities t1
(the in-phase images of T1-DUAL) and t2, on different grids. A patient without `Ground` folders has no label maps, as in
the test sets.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enrich.datasets import dicom
from enrich.modality import is_ct
from enrich.scan import Scan
from enrich.volume import Volume
from gan.errors import InputError

CT_STRUCTURES = {"liver": (1,)}
MR_STRUCTURES = {"liver": (1,), "right_kidney": (2,), "left_kidney": (3,), "spleen": (4,)}
CT_GREYS = {0: (0,), 1: (1, 255)}
MR_GREYS = {0: (0,), 1: range(55, 71), 2: range(110, 136), 3: range(175, 201), 4: range(240, 256)}
"""The grey values in a mask that mean each label."""

SOFT_TISSUE_HU = (-50, 300)
PLAUSIBLE_SHARE = 0.94
BODY_HU = -200

Greys = Mapping[int, Collection[int]]


def scans(folder: Path) -> Iterator[Scan]:
    """Yield every scan, CT before MR, in the order of patient numbers.

    `folder` holds `CT` and `MR`, or one of them, itself or in its `Train_Sets` or `CHAOS_Train_Sets`.

    Raises:
        InputError: the folder is not laid out like CHAOS, or some patients have masks and some not.
    """
    root = _root(folder)
    for pattern in ("CT/*", "MR/*/T1DUAL", "MR/*/T2SPIR"):
        _require_masks_of_all_or_none([path / "Ground" for path in sorted(root.glob(pattern)) if path.is_dir()])
    for patient in _patients(root / "CT"):
        case, images = f"ct{int(patient.name):02d}", patient / "DICOM_anon"
        files = _ranked(images, "*.dcm")
        window = dicom.window_hu(files[0])
        labelled = (patient / "Ground").is_dir()
        yield Scan(case, case, "ct", images, CT_STRUCTURES, partial(_read_ct, patient, files), labelled, window)
    for patient in _patients(root / "MR"):
        case = f"mr{int(patient.name):02d}"
        t1, t2 = patient / "T1DUAL", patient / "T2SPIR"
        for name, sequence, series, voxels in (
            ("t1", t1, t1 / "DICOM_anon" / "InPhase", partial(_read_t1, t1)),
            ("t2", t2, t2 / "DICOM_anon", partial(_read_mr, t2, t2 / "DICOM_anon", "t2")),
        ):
            yield Scan(case, case, name, series, MR_STRUCTURES, voxels, (sequence / "Ground").is_dir())


def _root(folder: Path) -> Path:
    candidates = [folder, folder / "Train_Sets", folder / "CHAOS_Train_Sets"]
    roots = [path for path in candidates if (path / "CT").is_dir() or (path / "MR").is_dir()]
    if len(roots) != 1:
        found = "no CT and no MR folder" if not roots else f"CT or MR folders in {[str(path) for path in roots]}"
        raise InputError(folder, found, "one folder of CHAOS with CT and MR, or with Train_Sets that holds them")
    return roots[0]


def _require_masks_of_all_or_none(grounds: list[Path]) -> None:
    missing = [ground for ground in grounds if not ground.is_dir()]
    if missing and len(missing) < len(grounds):
        raise InputError(missing[0], "no such folder", "masks of every patient, or of none as in the test sets")


def _patients(folder: Path) -> list[Path]:
    patients = [path for path in folder.glob("[!.]*") if path.is_dir()]
    for path in patients:
        if not path.name.isdecimal():
            raise InputError(path, f"a folder named {path.name}", "the number of a patient")
    return sorted(patients, key=lambda path: int(path.name))


def _ranked(folder: Path, pattern: str) -> list[Path]:
    """Return the files in file-name order, which must be that of the numbers in their names."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise InputError(folder, f"no {pattern} file", "one file a slice")
    numbers = [[int(number) for number in re.findall(r"\d+", path.name)] for path in files]
    for path, one, following in zip(files[1:], numbers, numbers[1:], strict=False):
        if following <= one:
            raise InputError(path, f"numbers {following} after {one}", "file names that ascend with their numbers")
    return files


def _read_ct(patient: Path, images: list[Path]) -> tuple[Volume, Volume | None]:
    """Images and masks share no name: they belong together by rank in file-name order, whatever order z has."""
    ground = patient / "Ground"
    if not ground.is_dir():
        return _read(images, None, CT_GREYS, "ct")
    masks = _ranked(ground, "*.png")
    for rank, mask in enumerate(masks):
        if int(re.findall(r"\d+", mask.name)[-1]) != rank:
            raise InputError(
                mask, f"the mask of rank {rank}", f"a name that ends in {rank:03d}: a mask lacks before it"
            )
    if len(masks) != len(images):
        raise InputError(ground, f"{len(masks)} masks", f"{len(images)}, one for each image in {images[0].parent}")
    return _read(images, masks, CT_GREYS, "ct")


def _read_t1(sequence: Path) -> tuple[Volume, Volume | None]:
    """Read the in-phase images after verifying that each echo is later than every out-of-phase one."""
    in_phase, out_phase = sequence / "DICOM_anon" / "InPhase", sequence / "DICOM_anon" / "OutPhase"
    latest = max(_echo_ms(path) for path in _ranked(out_phase, "*.dcm"))
    for path in _ranked(in_phase, "*.dcm"):
        echo = _echo_ms(path)
        if echo <= latest:
            raise InputError(path, f"echo time {echo} ms", f"more than the {latest} ms of {out_phase}")
    return _read_mr(sequence, in_phase, "t1")


def _read_mr(sequence: Path, folder: Path, modality: str) -> tuple[Volume, Volume | None]:
    """Image and mask share their stem."""
    images, ground = _ranked(folder, "*.dcm"), sequence / "Ground"
    if not ground.is_dir():
        return _read(images, None, MR_GREYS, modality)
    masks = [ground / f"{path.stem}.png" for path in images]
    for mask, path in zip(masks, images, strict=True):
        if not mask.is_file():
            raise InputError(mask, "no such file", f"the mask of {path}")
    extra = sorted(set(ground.glob("*.png")) - set(masks))
    if extra:
        raise InputError(extra[0], "a mask without an image", f"an image {extra[0].stem}.dcm in {folder}")
    return _read(images, masks, MR_GREYS, modality)


def _read(images: list[Path], masks: list[Path] | None, greys: Greys, modality: str) -> tuple[Volume, Volume | None]:
    """Pair images and masks first, order the pairs in space then."""
    slices = [dicom.read_slice(path) for path in images]
    image, order = dicom.stack(slices)
    if masks is None:
        return image, None
    size = slices[0].pixels.shape
    label = image.with_array(np.stack([_read_mask(masks[index], size, greys) for index in order]))
    _require_liver(images[0].parent, image, label, modality)
    return image, label


def _read_mask(path: Path, size: tuple[int, ...], greys: Greys) -> NDArray[np.uint8]:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.mode not in ("1", "L"):
                raise InputError(path, f"pixels of kind {picture.mode}", "1-bit or 8-bit grey ones")
            if picture.size[::-1] != size:  # before they are decoded
                raise InputError(path, f"a mask of {picture.size[::-1]} pixels", f"{size} as its image")
            grey = np.asarray(picture)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise InputError(path, "an unreadable or truncated file", "a PNG mask") from error
    labels = np.full(256, -1)
    for label, values in greys.items():
        labels[list(values)] = label
    mask = labels[grey.astype(np.uint8)]
    if mask.min() < 0:
        unknown = np.unique(grey[mask < 0]).tolist()
        raise InputError(
            path, f"label values {unknown}", f"only {[value for values in greys.values() for value in values]}"
        )
    return mask.astype(np.uint8)


def _require_liver(path: Path, image: Volume, label: Volume, modality: str) -> None:
    """Raise unless the liver shows soft tissue and lies on the patient's right: masks and images belong together.

    `PLAUSIBLE_SHARE` of its voxels lie within `SOFT_TISSUE_HU` in CT, above the darkest quarter of the image in MR.
    """
    liver = label.array == 1
    if not liver.any():
        raise InputError(path, "masks without liver", "a liver")
    low, high = SOFT_TISSUE_HU if is_ct(modality) else (np.percentile(image.array, 25), np.inf)
    share = float(np.mean((image.array[liver] > low) & (image.array[liver] < high)))
    if share < PLAUSIBLE_SHARE:
        found = f"{share:.0%} of the liver's voxels between {low:.4g} and {high:.4g}"
        raise InputError(path, found, f"at least {PLAUSIBLE_SHARE:.0%}; do images and masks belong together?")
    body = image.array > (BODY_HU if is_ct(modality) else image.array.mean())
    offset = _centre_mm(image, liver) - _centre_mm(image, body)
    if offset[0] >= 0:
        raise InputError(path, f"a liver {offset[0]:.0f} mm left of the body's centre", "one on the patient's right")


def _centre_mm(grid: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the centre of a mask in the LPS frame, without the origin."""
    index = [float(np.mean(axis)) for axis in np.nonzero(mask)][::-1]
    return np.reshape(grid.direction, (3, 3)) @ (np.array(index) * grid.spacing_mm)


def _echo_ms(path: Path) -> float:
    header = dicom.read_header(path)
    try:
        return float(header.EchoTime)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(path, "no echo time", "one in milliseconds") from error
