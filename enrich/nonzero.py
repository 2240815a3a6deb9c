"""nnU-Net's own non-zero mask, without nnU-Net's imports, which cost every program two seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes


def nonzero_mask(scan: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a scan, (Z, Y, X), is not 0, its holes filled: nnU-Net's `create_nonzero_mask` of one channel."""
    mask: NDArray[np.bool_] = binary_fill_holes(scan != 0)
    return mask
