"""Procedural abdomens in CHAOS's own layout: DICOM series and PNG masks that the reader of CHAOS takes for real ones.

What a reader may trip over is as in CHAOS: CT files run against z and share no name with their masks, window tags hold
one or two values, slope, intercept and signedness differ between patients, one scanner pads with -2048, SliceThickness
is not the spacing, out-of-phase images lie beside the in-phase ones, T1 and T2 have different grids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from tqdm import tqdm

from enrich.datasets.abdomen import BOTTOM_MM, CT_HU, ORGANS, T1_FAT, T1_WATER, T2, TOP_MM, Abdomen, Tissue, signals
from enrich.datasets.shapes import Waves, coordinates, empty_grid, fractions
from enrich.volume import Volume

FIELD_MM = {"ct": 320.0, "t1": 330.0, "t2": 345.0}
NOISE = {"ct": 14.0, "t1": 14.0, "t2": 16.0}
BIAS = 0.25
VARIATION = 0.04  # of a tissue's signal between patients
GREYS = {"liver": 63, "right_kidney": 126, "left_kidney": 189, "spleen": 252}
ECHO_MS = {"in": 4.603, "out": 2.301, "t2": 70.0}
PADDING_HU = -2048


class Scanner(NamedTuple):
    """How a CT is stored: value = slope · stored + intercept; one or two display windows."""

    slope: int
    intercept: int
    signed: bool
    centre: int | list[int]
    width: int | list[int]


SCANNERS = (
    Scanner(1, -1024, False, [50, 50], [400, 400]),
    Scanner(1, 0, True, 50, 400),
    Scanner(1, -1000, False, [60, 40], [380, 350]),
    Scanner(2, -1200, False, 40, 350),
)
"""How CT patients are stored, in turn; the signed one pads with -2048 outside its round field of view."""


@dataclass(frozen=True)
class Settings:
    """How many patients, and how fine.

    Attributes:
        ct_patients: patients with a CT.
        mr_patients: other patients, with T1 and T2.
        slices: slices of a CT; T1 has one more, T2 one less.
        size: rows and columns.
        seed: of all random shapes; a patient does not depend on the number of patients.
    """

    ct_patients: int = 6
    mr_patients: int = 6
    slices: int = 12
    size: int = 64
    seed: int = 0

    def smallest(self) -> Mapping[str, int]:
        """Return the least value of each setting."""
        return {"ct_patients": 0, "mr_patients": 0, "slices": 8, "size": 32, "seed": 0}


def write(settings: Settings, folder: Path) -> None:
    """Write every patient into `folder/Train_Sets`."""
    root = folder / "Train_Sets"
    patients = [("CT", number) for number in range(1, settings.ct_patients + 1)]
    patients += [("MR", number) for number in range(1, settings.mr_patients + 1)]
    for kind, number in tqdm(patients, "phantom", unit="patient", disable=None):
        generator = np.random.default_rng([settings.seed, ("CT", "MR").index(kind), number])
        patient, writer = _Patient.draw(generator), {"CT": _write_ct, "MR": _write_mr}[kind]
        writer(patient, root / kind / str(number), number, settings)


@dataclass(frozen=True)
class _Patient:
    generator: np.random.Generator
    shape: Abdomen
    factors: dict[Tissue, float]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> _Patient:
        shape = Abdomen.draw(generator)
        return cls(generator, shape, {tissue: generator.normal(1, VARIATION) for tissue in Tissue} | {Tissue.AIR: 1.0})

    def shares(self, modality: str, size: int, slices: int) -> tuple[Volume, NDArray[np.float32]]:
        """Return the grid of a scan and the share of each tissue in its voxels, (Z, Y, X, tissues)."""
        pixel = FIELD_MM[modality] / size
        middle = (float(self.generator.uniform(-6, 6)), float(self.generator.uniform(-6, 6)), (BOTTOM_MM + TOP_MM) / 2)
        grid = empty_grid((slices, size, size), (pixel, pixel, (TOP_MM - BOTTOM_MM) / slices), middle)
        return grid, fractions(grid, self.shape.tissues, len(Tissue))

    def magnitude(self, grid: Volume, *signal: NDArray[np.float32], modality: str) -> list[NDArray[np.uint16]]:
        """Return MR images under one coil sensitivity and Rician noise, 12 bits."""
        field = np.exp(BIAS * 2 * Waves.draw(self.generator, (350, 700))(*coordinates(grid)))
        scale = self.generator.uniform(0.85, 1.2)
        real, imaginary = self.generator.normal(0, NOISE[modality], (2, len(signal), *grid.array.shape))
        noisy = np.hypot(np.stack(signal) * field * scale + real, imaginary)
        return list(np.rint(noisy.clip(0, 4095)).astype(np.uint16))


def _round_field(grid: Volume) -> NDArray[np.bool_]:
    """Return whether a pixel lies in the circle that a scanner reconstructs, (1, Y, X)."""
    x, y, _ = coordinates(grid)
    return np.asarray(np.hypot(x - x.mean(), y - y.mean()) < FIELD_MM["ct"] / 2)


def _labels(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return CHAOS's grey of the organ that fills more than half of a voxel."""
    grey = np.zeros(shares.shape[:3], np.uint8)
    for organ, tissues in ORGANS.items():
        grey[shares[..., list(tissues)].sum(axis=-1) > 0.5] = GREYS[organ]
    return grey


def _write_ct(patient: _Patient, folder: Path, number: int, settings: Settings) -> None:
    grid, shares = patient.shares("ct", settings.size, settings.slices)
    hounsfield = shares @ signals(CT_HU, patient.factors)
    hounsfield = (hounsfield + patient.generator.normal(0, NOISE["ct"], hounsfield.shape)).clip(-1024)
    scanner = SCANNERS[(number - 1) % len(SCANNERS)]
    if scanner.signed:
        hounsfield = np.where(_round_field(grid), hounsfield, PADDING_HU)
    stored = np.rint((hounsfield - scanner.intercept) / scanner.slope)
    stored = stored.astype(np.int16) if scanner.signed else stored.clip(0).astype(np.uint16)
    liver = _labels(shares) == GREYS["liver"]
    tags = {
        "Modality": "CT",
        "SliceThickness": 1.6 * grid.spacing_mm[2],
        "RescaleIntercept": scanner.intercept,
        "RescaleSlope": scanner.slope,
        "WindowCenter": scanner.centre,
        "WindowWidth": scanner.width,
    }
    for rank, index in enumerate(reversed(range(settings.slices))):
        name = f"i{rank:04d},0000b" if number % 2 else f"IMG-0002-{rank + 1:05d}"
        _write_slice(folder / "DICOM_anon" / f"{name}.dcm", stored[index], grid, index, tags, f"CT{number}", settings)
        _write_mask(folder / "Ground" / f"liver_GT_{rank:03d}.png", liver[index])


def _write_mr(patient: _Patient, folder: Path, number: int, settings: Settings) -> None:
    t1, t2 = folder / "T1DUAL", folder / "T2SPIR"
    grid, shares = patient.shares("t1", settings.size, settings.slices + 1)
    water, fat = shares @ signals(T1_WATER, patient.factors), shares @ signals(T1_FAT, patient.factors)
    in_phase, out_phase = patient.magnitude(grid, water + fat, np.abs(water - fat), modality="t1")
    for index, mask in enumerate(_labels(shares)):
        for phase, images, name in (
            ("out", out_phase, f"OutPhase/IMG-0004-{2 * index + 1:05d}"),
            ("in", in_phase, f"InPhase/IMG-0004-{2 * index + 2:05d}"),
        ):
            tags = {"Modality": "MR", "EchoTime": ECHO_MS[phase], "SliceThickness": grid.spacing_mm[2]}
            path = t1 / "DICOM_anon" / f"{name}.dcm"
            _write_slice(path, images[index], grid, index, tags, f"MR{number} T1 {phase}", settings)
        _write_mask(t1 / "Ground" / f"IMG-0004-{2 * index + 2:05d}.png", mask)
    grid, shares = patient.shares("t2", settings.size, settings.slices - 1)
    (images,) = patient.magnitude(grid, shares @ signals(T2, patient.factors), modality="t2")
    tags = {"Modality": "MR", "EchoTime": ECHO_MS["t2"], "SliceThickness": 0.8 * grid.spacing_mm[2]}
    for index, mask in enumerate(_labels(shares)):
        name = f"IMG-0002-{index + 1:05d}"
        _write_slice(t2 / "DICOM_anon" / f"{name}.dcm", images[index], grid, index, tags, f"MR{number} T2", settings)
        _write_mask(t2 / "Ground" / f"{name}.png", mask)


def _write_slice(
    path: Path,
    pixels: NDArray[np.generic],
    grid: Volume,
    index: int,
    tags: Mapping[str, object],
    series: str,
    settings: Settings,
) -> None:
    """Write slice `index` of an axial grid as an uncompressed DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = [repr(settings), series]
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage if tags["Modality"] == "CT" else MRImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*identity, str(index)])
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = generate_uid(entropy_srcs=[*identity, "study"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=identity)
    data.FrameOfReferenceUID = generate_uid(entropy_srcs=[*identity, "frame"])
    data.PatientName, data.PatientID = "PHANTOM^", series.split()[0]
    data.InstanceNumber = index + 1
    x, y, z = grid.origin_mm
    data.ImagePositionPatient = [round(value, 6) for value in (x, y, z + index * grid.spacing_mm[2])]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = [grid.spacing_mm[1], grid.spacing_mm[0]]
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)


def _write_mask(path: Path, mask: NDArray[np.generic]) -> None:
    """Write a mask as 1-bit PNG where it is boolean, else as 8-bit grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
