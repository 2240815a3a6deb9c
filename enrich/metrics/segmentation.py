"""Agreement of two binary masks of one volume: DICE, RAVD and three surface distances.

DICE, RAVD, ASSD and MSSD are those of the CHAOS challenge (Kavur et al., Medical Image Analysis 69, 2021).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial import KDTree

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
    predicted, expected = (_surface_mm(mask, spacing_mm) for mask in (prediction, reference))
    if not len(predicted) or not len(expected):
        return np.empty(0)
    to_reference, _ = KDTree(expected).query(predicted)
    to_prediction, _ = KDTree(predicted).query(expected)
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


def scores(prediction: Mask, reference: Mask, spacing_mm: tuple[float, ...]) -> dict[str, float]:
    """Return all five metrics by column name; arguments as of `surface_distances_mm`."""
    distances = surface_distances_mm(prediction, reference, spacing_mm)
    return {
        "dice_percent": dice_percent(prediction, reference),
        "ravd_percent": ravd_percent(prediction, reference),
        "assd_mm": assd_mm(distances),
        "mssd_mm": mssd_mm(distances),
        "hd95_mm": hd95_mm(distances),
    }


def _surface_mm(mask: Mask, spacing_mm: tuple[float, ...]) -> Distances:
    """Return the surface voxels' positions, (N, 3); erodes only a box around the mask with one voxel of margin."""
    if not mask.any():
        return np.empty((0, mask.ndim))
    corner, box = _bounding_box(mask)
    inside = mask[box]
    eroded = binary_erosion(inside, generate_binary_structure(mask.ndim, 1), border_value=1)
    surface: Distances = (np.argwhere(inside & ~eroded) + corner) * np.asarray(spacing_mm)
    return surface


def _bounding_box(mask: Mask) -> tuple[NDArray[np.intp], tuple[slice, ...]]:
    axes = range(mask.ndim)
    occupied = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    box = tuple(slice(max(int(where[0]) - 1, 0), int(where[-1]) + 2) for where in occupied)
    return np.array([side.start for side in box]), box
