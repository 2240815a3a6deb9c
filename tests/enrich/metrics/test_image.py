import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from enrich.metrics.image import mean_absolute_error, mutual_information_nats, psnr_db, slice_consistency, ssim
from tests.real import real


def images(seed=0, shape=(4, 24, 20)):
    """Two images in [-1, 1] that have something in common, and a mask of some of each slice but the first."""
    generator = np.random.default_rng(seed)
    first, second = (gaussian_filter(generator.normal(size=shape), (0, 2, 2)) for _ in range(2))
    first, second = first / np.abs(first).max(), (first + second) / np.abs(first + second).max()
    mask = np.zeros(shape, bool)
    mask[1:, 6:18, 3:16] = True
    return first.astype(np.float32), second.astype(np.float32), mask


@pytest.fixture(scope="module")
def brain():
    """T1 and T2 of a slice of BraTS, each over its own maximum and then in [-1, 1], and the union of the brains."""
    folder = real("brats2021/BraTS2021_00006")
    found = []
    for name in ("t1", "t2"):
        plane = nibabel.load(folder / f"BraTS2021_00006_{name}.nii.gz").get_fdata()[:, :, 80]
        found.append((2 * plane / plane.max() - 1)[None])
    return *found, (found[0] > -1) | (found[1] > -1)


def test_values_of_other_programs_on_the_whole_slice(brain):
    t1, t2, _ = brain
    whole = np.ones(t1.shape, bool)
    assert psnr_db(t1, t2, whole) == pytest.approx(11.9196924, abs=1e-6)
    assert ssim(t1, t2, whole) == pytest.approx(0.6977413109, abs=1e-9)
    assert mutual_information_nats(t1, t2, whole) == pytest.approx(0.7496608335, abs=1e-9)


def test_values_of_other_programs_in_the_brain(brain):
    *pair, mask = brain
    assert psnr_db(*pair, mask) == pytest.approx(6.6704996, abs=1e-6)
    stretched = []  # that program's bins run from the lowest to the highest value in the brain
    for image in pair:
        low, high = image[mask].min(), image[mask].max()
        stretched.append((image - low) / (high - low) * 2 - 1)
    assert mutual_information_nats(*stretched, mask) == pytest.approx(0.5380581502, abs=1e-9)


def test_psnr_and_mae_of_a_constant_difference():
    reference, _, mask = images()
    image = np.where(mask, reference + np.float32(0.02), 0)
    assert psnr_db(image, reference, mask) == pytest.approx(40, abs=1e-3)  # 20·log10(2 / 0.02)
    assert mean_absolute_error(image, reference, mask) == pytest.approx(0.02, abs=1e-6)
    assert psnr_db(reference, reference, mask) == np.inf


def test_ssim_of_one_window_by_its_formula():
    generator = np.random.default_rng(1)
    x, y = generator.uniform(-1, 1, (2, 1, 11, 11))
    mask = np.ones(x.shape, bool)  # the edge of 5 leaves the centre
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    a, b = (x[0] + 1) / 2, (y[0] + 1) / 2
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    covariance = (window * a * b).sum() - mean_a * mean_b
    variances = (window * a**2).sum() - mean_a**2 + (window * b**2).sum() - mean_b**2
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    assert ssim(x, y, mask) == pytest.approx(luminance * (2 * covariance + 9e-4) / (variances + 9e-4), abs=1e-12)


def test_ssim_is_1_of_equal_images_and_of_the_mask_alone():
    first, second, mask = images()
    assert ssim(first, first, mask) == pytest.approx(1)
    far = second.copy()
    far[0] = 0  # not in the mask
    assert ssim(far, first, mask) == ssim(second, first, mask) < 1
    assert np.isnan(ssim(first[:, :10], second[:, :10], mask[:, :10]))


def test_mutual_information_of_a_slice_with_itself_is_its_entropy():
    image = np.zeros((2, 8, 8), np.float32)
    image[0, :, :4] = 0.5  # two values, evenly: ln 2
    image[1, :4, :4], image[1, 4:, :4], image[1, 4:, 4:] = -0.5, 0.5, 0.9  # four, evenly: ln 4
    whole = np.ones(image.shape, bool)
    assert mutual_information_nats(image, -image, whole) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert mutual_information_nats(image, np.zeros_like(image), whole) == pytest.approx(0, abs=1e-12)


def test_slices_outside_the_mask_do_not_count():
    first, second, mask = images()
    parts = [mutual_information_nats(first[z : z + 1], second[z : z + 1], mask[z : z + 1]) for z in (1, 2, 3)]
    assert mutual_information_nats(first, second, mask) == pytest.approx(np.mean(parts))


def test_slice_consistency_ignores_contrast_and_sees_flicker():
    source, _, mask = images()
    assert slice_consistency(0.3 - 0.5 * source, source, mask) == pytest.approx(1, abs=1e-5)
    flicker = np.array([1, -1, 1, -1], np.float32)[:, None, None]
    assert slice_consistency(source + flicker, source, mask) > 2


def test_slice_consistency_by_hand():
    whole = np.ones((2, 1, 3), bool)
    source = np.array([[[0, 0.1, 0.2]], [[0.2, 0.3, 0.4]]])  # 0.2 along z, 0.1 in the plane
    image = np.array([[[0, 0.2, 0.4]], [[0.1, 0.3, 0.5]]])  # 0.1 along z, 0.2 in the plane
    assert slice_consistency(image, source, whole) == pytest.approx(0.25)
    padded = [np.pad(array, 1, constant_values=9) for array in (image, source)]
    assert slice_consistency(*padded, np.pad(whole, 1)) == pytest.approx(0.25)


def test_what_is_undefined_is_nan():
    first, second, mask = images()
    for metric in (psnr_db, ssim, mutual_information_nats, mean_absolute_error, slice_consistency):
        assert np.isnan(metric(first, second, np.zeros_like(mask)))
    assert np.isnan(slice_consistency(first[:1], second[:1], mask[1:2]))
    assert np.isnan(slice_consistency(np.zeros_like(first), second, mask))
