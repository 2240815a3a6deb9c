"""Between a scan's axial slices and the GAN's square images of one size."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def to_gan_grid(planes: NDArray[Any], size: int, background: float) -> Array:
    """Resample slices to the GAN's grid.

    Each slice is centred on a square of `background` and resampled linearly, with anti-aliasing where it shrinks.

    Args:
        planes: (Z, Y, X).
        size: rows and columns of the result.
        background: fills the square; -1 for an image, 0 for a mask.

    Returns:
        (Z, size, size), float32.
    """
    top, left, side = _square(planes.shape[1:])
    square = np.full((len(planes), side, side), background, dtype=np.float32)
    square[:, top : top + planes.shape[1], left : left + planes.shape[2]] = planes
    return _resample(square, size)


def from_gan_grid(images: Array, shape: tuple[int, int]) -> Array:
    """Undo `to_gan_grid`: (Z, size, size) to (Z, *shape)."""
    top, left, side = _square(shape)
    return _resample(images, side)[:, top : top + shape[0], left : left + shape[1]]


def pixel_mm(spacing_mm: tuple[float, ...], shape: tuple[int, int], size: int) -> float:
    """Return the edge of a pixel on the GAN's grid, of slices of `shape` (Y, X) and `spacing_mm` (x, y, z)."""
    return math.sqrt(spacing_mm[0] * spacing_mm[1]) * max(shape) / size


def _square(shape: tuple[int, ...]) -> tuple[int, int, int]:
    side = max(shape)
    return (side - shape[0]) // 2, (side - shape[1]) // 2, side


def _resample(square: Array, size: int) -> Array:
    if square.shape[-1] == size:
        return square
    import torch
    from torch.nn.functional import interpolate

    images = torch.from_numpy(np.ascontiguousarray(square))[:, None]
    return interpolate(images, (size, size), mode="bilinear", antialias=True)[:, 0].numpy()
