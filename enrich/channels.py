"""An enriched case, the real channel and the synthetic ones, as axial images for the segmenters of `gan`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enrich import volume
from enrich.axial import AXIAL, to_axial
from enrich.intensity import Intensity, stored_as_images
from enrich.nnunet.dataset import Case


@dataclass(frozen=True)
class Channels:
    """A case on the axial grid of its real channel.

    Attributes:
        images: the real channel, then the synthetic ones, voxels in [-1, 1].
        body: the real channel's foreground, (Z, Y, X).
        orientation: of the case's files.
    """

    images: list[volume.Volume]
    body: NDArray[np.bool_]
    orientation: str


def read_channels(case: Case, row: "pd.Series[str]", added: Sequence[str], intensity: Intensity) -> Channels:
    """Read a case.

    Args:
        case: the files.
        row: the real channel's of `scans.csv`.
        added: those of the synthetic channels, in order.
        intensity: as in the synthesis.
    """
    real, *synthetic = case.images
    scan = volume.read(real)
    first, body = to_axial(scan, row, intensity, real)
    images = [first]
    for path, name in zip(synthetic, added, strict=True):
        stored = volume.reorient(volume.read(path), AXIAL).array
        images.append(first.with_array(stored_as_images(stored, name, intensity)))
    return Channels(images, body, scan.orientation)
