import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.spatial.distance import cdist

from enrich.metrics.segmentation import (
    assd_mm,
    chaos_score,
    dice_percent,
    hd95_mm,
    mssd_mm,
    ravd_percent,
    scores,
    slice_dice_percent,
    surface_distances_mm,
)

SPACING_MM = (3.0, 2.0, 0.5)
DISTANCES = ("assd_mm", "mssd_mm", "hd95_mm")


def empty(*shape):
    return np.zeros(shape or (6, 8, 10), bool)


def blobs(seed, shape=(9, 14, 12)):
    """Two overlapping random masks of several parts, some touching the volume's edge."""
    generator = np.random.default_rng(seed)
    noise = gaussian_filter(generator.normal(size=(2, *shape)), (0, 2, 2, 2))
    shared = noise[0] / noise[0].std()
    return shared > 0.3, shared + 0.5 * noise[1] / noise[1].std() > 0.3


def masks_of(first, second):
    """The evaluation program of CHAOS is checked with a reference of 32 voxels; so are we."""
    prediction, reference = empty(), empty()
    prediction.reshape(-1)[:first] = True
    reference.reshape(-1)[:second] = True
    return prediction, reference


@pytest.mark.parametrize(
    ("voxels", "dice", "ravd"),
    [
        ((24, 32), 100 * 0.857142857142857, 25),
        ((32, 24), 100 * 0.857142857142857, 100 / 3),
        ((32, 0), 0, np.nan),
        ((0, 32), 0, 100),
        ((0, 0), np.nan, np.nan),
        ((32, 32), 100, 0),
    ],
)
def test_overlap_agrees_with_the_chaos_table(voxels, dice, ravd):
    masks = masks_of(*voxels)
    assert dice_percent(*masks) == pytest.approx(dice, abs=1e-12, nan_ok=True)
    assert ravd_percent(*masks) == pytest.approx(ravd, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("voxels", [(32, 0), (0, 32), (0, 0)])
def test_distances_of_an_empty_mask_are_undefined(voxels):
    found = scores(*masks_of(*voxels), SPACING_MM)
    assert all(np.isnan(found[name]) for name in DISTANCES)


def test_overlap_of_shifted_cubes():
    prediction, reference = empty(10, 10, 10), empty(10, 10, 10)
    reference[2:6, 2:6, 2:6] = True
    prediction[2:6, 2:6, 3:7] = True
    assert dice_percent(prediction, reference) == 75
    assert ravd_percent(prediction, reference) == 0


@pytest.mark.parametrize("axis", range(3))
def test_two_voxels_are_apart_by_spacing_along_each_axis(axis):
    prediction, reference = empty(), empty()
    place = [1, 1, 1]
    reference[tuple(place)] = True
    place[axis] += 3
    prediction[tuple(place)] = True
    found = scores(prediction, reference, SPACING_MM)
    assert [found[name] for name in DISTANCES] == [3 * SPACING_MM[axis]] * 3


def test_distances_are_pooled_over_both_surfaces():
    prediction, reference = empty(), empty()
    reference[2, 2, 2] = prediction[2, 2, 2] = prediction[2, 2, 5] = True
    distances = surface_distances_mm(prediction, reference, (1.0, 1.0, 1.0))
    assert sorted(distances) == [0, 0, 3]
    assert assd_mm(distances) == 1
    assert mssd_mm(distances) == 3
    assert hd95_mm(distances) == pytest.approx(2.7)


def test_nested_cubes_have_six_faces():
    reference, prediction = empty(9, 9, 9), empty(9, 9, 9)
    reference[2:7, 2:7, 2:7] = True
    prediction[3:6, 3:6, 3:6] = True
    found = surface_distances_mm(prediction, reference, (1.0, 1.0, 1.0))
    # 26 of 27 inner voxels lie one step from a face; of the 98 outer ones 54 face them, 36 are edges, 8 are corners.
    expected = [1.0] * (26 + 54) + [2**0.5] * 36 + [3**0.5] * 8
    assert sorted(found) == pytest.approx(expected)


def test_the_edge_of_the_volume_is_no_surface():
    reference, prediction = empty(10, 6, 6), empty(10, 6, 6)
    reference[:5] = True
    prediction[:7] = True
    found = scores(prediction, reference, (2.0, 1.0, 1.0))
    assert [found[name] for name in DISTANCES] == [4, 4, 4]


def test_a_mask_that_fills_the_volume_has_no_surface():
    found = scores(~empty(), ~empty(), SPACING_MM)
    assert found["dice_percent"] == 100
    assert all(np.isnan(found[name]) for name in DISTANCES)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_brute_force(seed):
    prediction, reference = blobs(seed)
    surfaces = [
        np.argwhere(mask & ~binary_erosion(mask, border_value=1)) * SPACING_MM for mask in (prediction, reference)
    ]
    between = cdist(*surfaces)
    pooled = np.concatenate([between.min(axis=1), between.min(axis=0)])
    found = scores(prediction, reference, SPACING_MM)
    expected = [pooled.mean(), pooled.max(), np.percentile(pooled, 95)]
    assert [found[name] for name in DISTANCES] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_monai_away_from_the_edge(seed):
    metrics = pytest.importorskip("monai.metrics")
    padded = [np.pad(mask, 1) for mask in blobs(seed)]
    ours = scores(*padded, SPACING_MM)
    theirs = [torch.from_numpy(mask[None, None]).float() for mask in padded]
    options = {"include_background": True, "spacing": SPACING_MM}
    assd = metrics.compute_average_surface_distance(*theirs, symmetric=True, **options)
    mssd = metrics.compute_hausdorff_distance(*theirs, **options)
    dice = metrics.compute_dice(*theirs, include_background=True)
    assert ours["dice_percent"] == pytest.approx(100 * float(dice), rel=1e-6)
    assert ours["assd_mm"] == pytest.approx(float(assd), rel=1e-6)
    assert ours["mssd_mm"] == pytest.approx(float(mssd), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_distances_do_not_change_when_the_masks_swap(seed):
    prediction, reference = blobs(seed)
    forth, back = (
        surface_distances_mm(*masks, SPACING_MM) for masks in ((prediction, reference), (reference, prediction))
    )
    assert sorted(forth) == sorted(back)


@pytest.mark.parametrize("seed", range(3))
def test_empty_space_around_the_masks_does_not_matter(seed):
    near = [np.pad(mask, 1) for mask in blobs(seed)]
    far = [np.pad(mask, ((5, 0), (2, 7), (0, 3))) for mask in near]
    counted = np.arange(len(far[0])) >= 5  # the slices that were there before
    assert scores(*far, SPACING_MM, counted) == pytest.approx(scores(*near, SPACING_MM), abs=1e-12)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ((100, 0, 0, 0), 100),
        ((80, 0, 0, 0), (80 + 300) / 4),
        ((79.999, 0, 0, 0), 300 / 4),
        ((100, 5, 15, 60), 100 / 4),
        ((100, 2.5, 7.5, 30), (100 + 3 * 50) / 4),
        ((100, 5.001, 15.001, 60.001), 100 / 4),
        ((100, 1, 0, 0), (80 + 300) / 4),
        ((0, 100, np.nan, np.nan), 0),  # prediction empty
        ((0, np.nan, np.nan, np.nan), 0),  # reference empty
        ((np.nan, np.nan, np.nan, np.nan), np.nan),  # both empty
        ((100, 0, np.nan, np.nan), np.nan),  # no surface
    ],
)
def test_chaos_score(metrics, expected):
    assert chaos_score(*metrics) == pytest.approx(expected, nan_ok=True)


def test_slice_dice_is_smoothed_and_averaged_over_the_counted_slices():
    prediction, reference = empty(4, 3, 3), empty(4, 3, 3)
    reference[0, 0, :2] = prediction[0, 0, 1:] = True  # (2·1 + 1) / (2 + 2 + 1)
    prediction[1, 0, :3] = True  # 1 / (3 + 1)
    prediction[3] = True  # not counted
    counted = np.array([True, True, True, False])  # the third is empty in both: 1
    assert slice_dice_percent(prediction, reference, counted) == pytest.approx(100 * (0.6 + 0.25 + 1) / 3)
    assert np.isnan(slice_dice_percent(prediction, reference, np.zeros(4, bool)))
