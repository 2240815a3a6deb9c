"""Procedural heads with a tumour in the layout of BraTS 2021: four co-registered sequences and a segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from enrich.datasets.head import SIGNALS, Head, Tissue
from enrich.datasets.shapes import Waves, coordinates, empty_grid, fractions
from enrich.volume import write as write_volume

FIELD_MM, HEIGHT_MM = 190.0, 150.0
NOISE = 18.0
BIAS = 0.2
LABELS = {Tissue.NECROSIS: 1, Tissue.EDEMA: 2, Tissue.ENHANCING: 4}


@dataclass(frozen=True)
class Settings:
    """How many patients, and how fine.

    Attributes:
        patients: patients, each with all four sequences.
        slices: slices of a scan.
        size: rows and columns.
        seed: of all random shapes; a patient does not depend on the number of patients.
    """

    patients: int = 6
    slices: int = 12
    size: int = 64
    seed: int = 0

    def smallest(self) -> Mapping[str, int]:
        """Return the least value of each setting."""
        return {"patients": 1, "slices": 8, "size": 32, "seed": 0}


def write(settings: Settings, folder: Path) -> None:
    """Write every patient into a folder of his own; background is exactly 0 and nothing else is."""
    for number in tqdm(range(settings.patients), "phantom", unit="patient", disable=None):
        generator = np.random.default_rng([settings.seed, number])
        shape = (settings.slices, settings.size, settings.size)
        grid = empty_grid(shape, (FIELD_MM / settings.size, FIELD_MM / settings.size, HEIGHT_MM / settings.slices))
        shares = fractions(grid, Head.draw(generator).tissues, len(Tissue))
        brain = shares[..., Tissue.AIR] < 0.5
        stem = f"BraTS2021_{number:05d}"
        for sequence, table in SIGNALS.items():
            factors = [table.get(tissue, 0) * generator.normal(1, 0.03) for tissue in Tissue]
            field = np.exp(2 * BIAS * Waves.draw(generator, (200, 400))(*coordinates(grid)))
            signal = shares @ np.array(factors) * field * generator.uniform(0.7, 1.4)
            real, imaginary = generator.normal(0, NOISE, (2, *shape))
            image = np.rint(np.hypot(signal + real, imaginary)).clip(1).astype(np.int16)
            write_volume(grid.with_array(np.where(brain, image, 0)), folder / stem / f"{stem}_{sequence}.nii.gz")
        values = np.array([LABELS.get(tissue, 0) for tissue in Tissue], np.uint8)
        label = np.where(brain, values[shares.argmax(axis=-1)], 0).astype(np.uint8)
        write_volume(grid.with_array(label), folder / stem / f"{stem}_seg.nii.gz")
