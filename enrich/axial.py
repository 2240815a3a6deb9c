"""A scan as axial images for the GAN, whatever the orientation of its file."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enrich import volume
from enrich.intensity import Intensity, normalize

AXIAL = "LPS"


def to_axial(
    scan: volume.Volume, row: "pd.Series[str]", intensity: Intensity, path: Path
) -> tuple[volume.Volume, NDArray[np.bool_]]:
    """Return a scan as images in [-1, 1], rows running to posterior and columns to left, and its foreground.

    Args:
        scan: in the orientation of its file.
        row: its row of `scans.csv`, for the modality and the display window of a CT.
        intensity: how to scale it.
        path: its file, for error messages.
    """
    scan = volume.reorient(scan, AXIAL)
    bounds = (row["window_low_hu"], row["window_high_hu"])
    window_hu = None if pd.isna(bounds[0]) else (float(bounds[0]), float(bounds[1]))
    images, body = normalize(scan.array, row["modality"], intensity, window_hu, path)
    return scan.with_array(images), body
