"""Between a scan's intensities and the GAN's images in [-1, 1]."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from enrich.modality import is_ct
from gan.errors import InputError

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIR_HU = -1024
MR_MAXIMUM = 1000
MR_NOISE = 50
BODY_HU = -300


@dataclass(frozen=True)
class Intensity:
    """How scans are scaled; the config's key `intensity`.

    Attributes:
        preset: `default`, or `paper` for what TarGAN did.
        ct_window_hu: the bounds of CT, preset default; those of synthetic CT in both presets.
        mr_percentiles: the lower bound of MR as a percentile of the volume, the upper as one of its body.
    """

    preset: str = "default"
    ct_window_hu: tuple[float, float] = (-160, 240)
    mr_percentiles: tuple[float, float] = (0.5, 99.5)


def normalize(
    array: NDArray[np.generic],
    modality: str,
    intensity: Intensity,
    window_hu: tuple[float, float] | None,
    where: str | Path,
) -> tuple[Array, Mask]:
    """Return a volume's images in [-1, 1] and its foreground (b^x of TarGAN), both of shape (Z, Y, X).

    Preset default: CT by the config's window, MR between two percentiles, one scale for the whole volume, and the body
    as foreground. Preset paper: CT by `window_hu`, the window of its DICOM file; MR below 50 set to 0, then scaled from
    the minimum to the maximum of each slice; foreground is what lies above the background of the scaled image.

    Raises:
        InputError: preset paper and a CT without a window, or a volume without a body; names `where`.
    """
    values = array.astype(np.float32)
    if intensity.preset == "paper":
        if is_ct(modality) and window_hu is None:
            raise InputError(where, "no display window", "one, for the intensity preset paper")
        images = _paper(values, window_hu)
        return images, images > -1
    body = body_mask(values, modality)
    if not body.any():
        raise InputError(where, "no body", "foreground")
    if is_ct(modality):
        low, high = intensity.ct_window_hu
    else:
        low = float(np.percentile(values, intensity.mr_percentiles[0]))
        high = float(np.percentile(values[body], intensity.mr_percentiles[1]))
    return _scale(values, low, high), body


def denormalize(images: Array, modality: str, intensity: Intensity) -> NDArray[np.int16]:
    """Return images in [-1, 1] as stored intensities.

    CT is stored as HU + 1024, so that air is 0, and spans the config's window; MR spans 0 to 1000.
    """
    low, high = stored_range(modality, intensity)
    return np.rint((images + 1) / 2 * (high - low) + low).astype(np.int16)


def stored_as_images(stored: NDArray[np.generic], modality: str, intensity: Intensity) -> Array:
    """Return stored intensities as images in [-1, 1]: what `denormalize` undoes."""
    return _scale(stored.astype(np.float32), *stored_range(modality, intensity))


def stored_range(modality: str, intensity: Intensity) -> tuple[float, float]:
    """Return the lowest and the highest stored intensity of a synthetic scan."""
    if is_ct(modality):
        low, high = intensity.ct_window_hu
        return low - AIR_HU, high - AIR_HU
    return 0, MR_MAXIMUM


def body_mask(values: Array, modality: str) -> Mask:
    """Return the body, (Z, Y, X): the largest connected part above the air, its holes filled slice by slice.

    The air ends at -300 HU, and in MR at half of Otsu's threshold.
    """
    above = values > (BODY_HU if is_ct(modality) else threshold_otsu(values) / 2)
    parts, count = ndimage.label(above)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        above = parts == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(plane) for plane in above])


def _paper(values: Array, window_hu: tuple[float, float] | None) -> Array:
    if window_hu is not None:
        return _scale(values, *window_hu)
    values = np.where(values < MR_NOISE, 0, values)
    low, high = (bound(values, axis=(1, 2), keepdims=True) for bound in (np.min, np.max))
    return _scale(values, low, np.maximum(high, low + 1))


def _scale(values: Array, low: float | Array, high: float | Array) -> Array:
    scaled: Array = np.clip((values - low) / (high - low) * 2 - 1, -1, 1).astype(np.float32)
    return scaled
