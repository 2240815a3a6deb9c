"""Agreement of a translation with a real image, voxel by voxel, and with its own neighbouring slices.

Images are (Z, Y, X) in [-1, 1], so that their data range is 2; masks are (Z, Y, X). Every metric is of the voxels in
the mask alone, which is to be the same for every method, such as the source's body.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

DATA_RANGE = 2.0
BINS = 64


def psnr_db(image: Image, reference: Image, mask: Mask) -> float:
    """Peak signal-to-noise ratio, 10·log10(2² / mean squared error), in dB.

    Of all voxels in the mask at once, as scikit-image has it. Infinite where the images are equal; NaN where the mask
    is empty.
    """
    if not mask.any():
        return np.nan
    if np.array_equal(image[mask], reference[mask]):
        return np.inf
    return float(peak_signal_noise_ratio(reference[mask], image[mask], data_range=DATA_RANGE))


def ssim(image: Image, reference: Image, mask: Mask) -> float:
    """Structural similarity, -1 to 1: the mean over the mask of each slice's own map.

    Wang et al. (IEEE TIP 2004): a Gaussian window of σ 1.5, 11 pixels wide, population covariance, K1 0.01 and K2 0.03,
    by scikit-image. Of the images scaled to [0, 1], range 1: unlike the PSNR it is not the same in [-1, 1], where it
    would take a mid-grey for black. An edge of 5 pixels, half a window, is left out, as in scikit-image's own mean. NaN
    where nothing else is in the mask.
    """
    edge = 5
    inside = mask.copy()
    inside[:, :edge] = inside[:, -edge:] = False
    inside[:, :, :edge] = inside[:, :, -edge:] = False
    if not inside.any():
        return np.nan
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0, "full": True}
    total = 0.0
    for z in np.flatnonzero(inside.any(axis=(1, 2))):
        pair = ((array[z].astype(np.float64) + 1) / 2 for array in (image, reference))
        total += float(structural_similarity(*pair, **options)[1][inside[z]].sum())
    return total / np.count_nonzero(inside)


def mutual_information_nats(image: Image, reference: Image, mask: Mask) -> float:
    """Mutual information of each slice with the reference's, in nats, and the mean over slices.

    As Hiasa et al. (SASHIMI 2018) compare an image with its own translation; they leave the histogram open. Here it has
    64×64 bins of equal width from -1 to 1, of the pixels in the mask. It is never more than either slice's entropy, and
    falls with the number of bins: figures of other histograms are not comparable. NaN where the mask is empty.
    """
    found = []
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        pair = image[z][mask[z]], reference[z][mask[z]]
        counts, *_ = np.histogram2d(*pair, bins=BINS, range=[(-1, 1), (-1, 1)])
        found.append(entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1)) - entropy(counts.ravel()))
    return float(np.mean(found)) if found else np.nan


def mean_absolute_error(image: Image, reference: Image, mask: Mask) -> float:
    """Mean absolute difference in the mask, 0 to 2; NaN where it is empty."""
    return float(np.mean(np.abs(image[mask] - reference[mask]), dtype=np.float64)) if mask.any() else np.nan


def slice_consistency(image: Image, source: Image, mask: Mask) -> float:
    """How rough a translation is along z, over how rough its source is: 1 is alike, more flickers between slices.

    No paper that is implemented here defines it; our definition. Roughness is the mean absolute difference of
    neighbours along z over that of neighbours in the plane, both voxels in the mask, so that contrast cancels: a
    translation that is linear in its source has 1. Less than 1 has one that is rougher in the plane, such as by noise.

    Args:
        image: the translation.
        source: the real scan that was translated.
        mask: of the scan.

    Returns:
        NaN where the mask has no neighbours along z or in the plane, or one of the images does not change.
    """
    rough, expected = _roughness(image, mask), _roughness(source, mask)
    return rough / expected if rough and expected else np.nan


def _roughness(image: Image, mask: Mask) -> float:
    along_z, in_plane = _differences(image, mask, (0,)), _differences(image, mask, (1, 2))
    if not along_z.size or not in_plane.any():
        return np.nan
    return float(along_z.mean(dtype=np.float64) / in_plane.mean(dtype=np.float64))


def _differences(image: Image, mask: Mask, axes: tuple[int, ...]) -> Image:
    """Return the absolute differences of neighbours along some axes, both of which are in the mask."""
    found = []
    for axis in axes:
        ahead, behind = (
            np.take(mask, np.arange(*ends), axis) for ends in ((1, mask.shape[axis]), (mask.shape[axis] - 1,))
        )
        found.append(np.abs(np.diff(image, axis=axis))[ahead & behind])
    return np.concatenate(found)
