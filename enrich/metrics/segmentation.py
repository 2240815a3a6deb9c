"""Agreement of two binary masks of one volume: DICE, RAVD, three surface distances, and two scores made of these.

DICE, RAVD, ASSD and MSSD are those of the CHAOS challenge (Kavur et al., Medical Image Analysis 69, 2021), as is the
score from 0 to 100 that sums them up. The DICE by slice is that of Xin et al. (ISBI 2020).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]


def dice_percent(prediction: Mask, reference: Mask) -> float:
    """Dice coefficient, 100·2·|P ∩ R| / (|P| + |R|), in percent.

    0 where one mask is empty; NaN where both are.
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return float(200 * np.count_nonzero(prediction & reference) / total) if total else np.nan


def ravd_percent(prediction: Mask, reference: Mask) -> float:
    """Relative absolute volume difference, 100·| |P| − |R| | / |R|, in percent.

    100 where only the prediction is empty; NaN where the reference is (CHAOS's own program gives infinity there).
    """
    expected = np.count_nonzero(reference)
    return float(100 * abs(np.count_nonzero(prediction) - expected) / expected) if expected else np.nan


def surface_distances_mm(prediction: Mask, reference: Mask, spacing_mm: tuple[float, ...]) -> Distances:
    """Distances from each surface voxel of either mask to the nearest surface voxel of the other, pooled.

    A surface voxel is a voxel of the mask that has one of its face neighbours outside the mask. What lies outside the
    volume counts as mask, so that where an organ leaves the field of view the cut is no surface, as in CHAOS's own
    program. MONAI, MedPy and MetricsReloaded count it as background: on organs that touch the volume's edge their
    distances differ; elsewhere the surfaces are the same.

    Args:
        prediction: (Z, Y, X).
        reference: (Z, Y, X).
        spacing_mm: along the axes of the arrays, (z, y, x).

    Returns:
        Millimetres, (number of surface voxels of both,); empty where a mask has no surface: it is empty or fills the
        volume.
    """
    either = prediction | reference
    if not either.any():
        return np.empty(0)
    box = _bounding_box(either)
    predicted, expected = (_surface(mask[box]) for mask in (prediction, reference))
    if not predicted.any() or not expected.any():
        return np.empty(0)
    to_reference = distance_transform_edt(~expected, spacing_mm)[predicted]
    to_prediction = distance_transform_edt(~predicted, spacing_mm)[expected]
    return np.concatenate([to_reference, to_prediction])


def assd_mm(distances_mm: Distances) -> float:
    """Average symmetric surface distance: the mean of the pooled distances; NaN where there are none."""
    return float(distances_mm.mean()) if distances_mm.size else np.nan


def mssd_mm(distances_mm: Distances) -> float:
    """Maximum symmetric surface distance, or Hausdorff distance; NaN where there are no distances."""
    return float(distances_mm.max()) if distances_mm.size else np.nan


def hd95_mm(distances_mm: Distances) -> float:
    """95th percentile (linear interpolation) of the pooled distances; NaN where there are none.

    MONAI takes the larger of the two directed 95th percentiles instead.
    """
    return float(np.percentile(distances_mm, 95)) if distances_mm.size else np.nan


def chaos_score(dice_percent: float, ravd_percent: float, assd_mm: float, mssd_mm: float) -> float:
    """Score of the CHAOS challenge: the mean of four scores from 0 to 100, one a metric.

    A metric beyond its threshold scores 0: DICE below 80 %, RAVD over 5 %, ASSD over 15 mm, MSSD over 60 mm. Up to it
    the score falls linearly, of DICE from 100 to 80 and of the others from 100 to 0.

    0 where one mask is empty; NaN where both are, and where a mask fills the volume and has no surface.
    """
    if np.isnan(dice_percent) or (dice_percent > 0 and np.isnan(assd_mm)):
        return np.nan
    parts = [dice_percent if dice_percent >= 80 else 0.0]
    for value, threshold in ((ravd_percent, 5), (assd_mm, 15), (mssd_mm, 60)):
        parts.append(100 - 100 * value / threshold if value <= threshold else 0.0)
    return float(np.mean(parts))


def slice_dice_percent(prediction: Mask, reference: Mask, counted: NDArray[np.bool_]) -> float:
    """Mean over the counted slices of 100·(2·|P ∩ R| + 1) / (|P| + |R| + 1), in percent.

    A slice on which both masks are empty counts as 100. Xin et al. (ISBI 2020) say which slices count: those with at
    least 2000 pixels of brain, of 240×240 (their code: more than 2000, in every modality), whether they show tumour or
    not. They take it on slices that are resampled to 128×128, where a smoothing of 1 weighs more; here the slices are
    those of the masks.

    Args:
        prediction: (Z, Y, X), axial.
        reference: (Z, Y, X).
        counted: (Z,).

    Returns:
        Percent; NaN where no slice counts.
    """
    if not counted.any():
        return np.nan
    overlap, predicted, expected = (
        np.count_nonzero(mask[counted], axis=(1, 2)) for mask in (prediction & reference, prediction, reference)
    )
    return float(np.mean(100 * (2 * overlap + 1) / (predicted + expected + 1)))


def scores(
    prediction: Mask, reference: Mask, spacing_mm: tuple[float, ...], counted: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return all seven metrics by column name.

    Args:
        prediction: (Z, Y, X), axial.
        reference: (Z, Y, X).
        spacing_mm: (z, y, x).
        counted: slices of the DICE by slice, (Z,); all of them where the scan is not known.
    """
    distances = surface_distances_mm(prediction, reference, spacing_mm)
    four = {
        "dice_percent": dice_percent(prediction, reference),
        "ravd_percent": ravd_percent(prediction, reference),
        "assd_mm": assd_mm(distances),
        "mssd_mm": mssd_mm(distances),
    }
    slices = np.ones(len(reference), np.bool_) if counted is None else counted
    return four | {
        "hd95_mm": hd95_mm(distances),
        "chaos_score": chaos_score(**four),
        "slice_dice_percent": slice_dice_percent(prediction, reference, slices),
    }


def _surface(mask: Mask) -> Mask:
    """Return the mask's voxels that have a face neighbour outside it."""
    surface: Mask = mask & ~binary_erosion(mask, generate_binary_structure(mask.ndim, 1), border_value=1)
    return surface


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Return the box around a mask with one voxel of margin, as far as there is one."""
    axes = range(mask.ndim)
    occupied = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(max(int(where[0]) - 1, 0), int(where[-1]) + 2) for where in occupied)
