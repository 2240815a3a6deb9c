"""A scan as the translators' images, and back on its own grid: what channels and cases are made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from enrich import volume
from enrich.axial import to_axial
from enrich.gan_grid import Array, from_gan_grid, pixel_mm, to_gan_grid
from enrich.intensity import Intensity, denormalize
from enrich.nonzero import nonzero_mask
from enrich.volume import Volume

if TYPE_CHECKING:
    from gan.translator import Translator


@dataclass(frozen=True)
class Planes:
    """The axial planes of a scan, real or translated.

    Attributes:
        images: on the GAN's grid, (N, 1, S, S) in [-1, 1].
        axial: the scan's grid once it is axial; its voxels mean nothing.
        inside: nnU-Net's own non-zero mask of the real scan, on the scan's own grid.
        path: the scan's file, for error messages.
    """

    images: Array
    axial: Volume
    inside: Volume
    path: Path

    def translated(self, translator: Translator, source: str, target: str) -> Planes:
        """Return the planes, of modality `source`, in modality `target`."""
        size, shape = self.images.shape[-1], self.axial.array.shape[1:]
        ratio = self.axial.spacing_mm[2] / pixel_mm(self.axial.spacing_mm, shape, size)
        return replace(self, images=translator.translate(self.images, source, target, slice_over_pixel=ratio))

    @staticmethod
    def mean(planes: Sequence[Planes]) -> Planes:
        """Return the mean of translations of one scan to one modality."""
        return replace(planes[0], images=np.mean([one.images for one in planes], axis=0, dtype=np.float32))

    def stored(self, modality: str, intensity: Intensity) -> Volume:
        """Return the planes as a synthetic scan of `modality` on the scan's own grid, int16.

        It is whatever the images are inside the real scan's non-zero mask: `denormalize` gives the range. Outside it is
        exactly 0, so that as a channel it changes neither the crop nor the normalization of the real one.
        """
        planes = denormalize(from_gan_grid(self.images[:, 0], self.axial.array.shape[1:]), modality, intensity)
        scan = volume.reorient(self.axial.with_array(planes), self.inside.orientation)
        volume.require_same_grid(self.path, scan, self.inside)
        return self.inside.with_array(np.where(self.inside.array, scan.array, np.int16(0)))


def read_planes(path: Path, row: pd.Series[str], image_size: int, intensity: Intensity) -> Planes:
    """Read a scan as its planes.

    Args:
        path: the scan's NIfTI.
        row: its row of `scans.csv`.
        image_size: rows and columns of the GAN's grid.
        intensity: as in the training.
    """
    scan = volume.read(path)
    axial, _ = to_axial(scan, row, intensity, path)
    images = to_gan_grid(axial.array, image_size, -1)[:, None]
    grid = axial.with_array(np.broadcast_to(np.float32(-1), axial.array.shape))  # takes no memory
    return Planes(images, grid, scan.with_array(nonzero_mask(scan.array)), path)
