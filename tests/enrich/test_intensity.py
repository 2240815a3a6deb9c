import numpy as np
import pytest

from enrich.intensity import Intensity, body_mask, denormalize, normalize, stored_range
from gan.errors import InputError


@pytest.fixture
def ct():
    """A body of 50 HU with a gas bubble, on a table, in air."""
    values = np.full((4, 40, 40), -1000, np.float32)
    values[:, 8:30, 6:34] = 50
    values[:, 15:18, 15:18] = -900
    values[:, 36, 5:35] = 100
    return values


def test_ct_is_scaled_by_the_window_and_clipped():
    values = np.array([-1000, -160, 40, 240, 3000], np.float32)
    body = np.zeros((1, 3, 3), np.float32)
    body[0, 1, 1] = 1
    images, _ = normalize(values.reshape(1, 1, 5), "ct", Intensity(), None, "scan")
    assert images.ravel().tolist() == [-1, -1, 0, 1, 1]


def test_mr_is_scaled_between_percentiles_of_the_volume_and_of_its_body():
    values = np.zeros((2, 40, 40), np.float32)
    values[:, 10:30, 10:30] = np.linspace(300, 900, 400).reshape(20, 20)
    images, body = normalize(values, "t1", Intensity(mr_percentiles=(0, 99)), None, "scan")
    high = np.percentile(values[:, 10:30, 10:30], 99)
    assert body.sum() == 2 * 400
    np.testing.assert_allclose(images[0, 10, 10], 300 / high * 2 - 1, rtol=1e-6)
    assert images[0, 0, 0] == -1
    assert images.max() == 1


def test_the_body_is_one_part_without_holes_and_without_the_table(ct):
    expected = np.zeros(ct.shape, bool)
    expected[:, 8:30, 6:34] = True
    np.testing.assert_array_equal(body_mask(ct, "ct"), expected)


def test_a_volume_of_air_is_refused():
    with pytest.raises(InputError, match="scan: found no body"):
        normalize(np.linspace(-1000, -900, 27).reshape(3, 3, 3), "ct", Intensity(), None, "scan")


def test_the_papers_mr_is_scaled_slice_by_slice():
    values = np.array([[[10, 49, 50, 100]], [[0, 0, 60, 600]]], np.float32)
    images, body = normalize(values, "t2", Intensity(preset="paper"), None, "scan")
    np.testing.assert_allclose(images, [[[-1, -1, 0, 1]], [[-1, -1, -0.8, 1]]], rtol=1e-6)
    np.testing.assert_array_equal(body, [[[False, False, True, True]], [[False, False, True, True]]])


def test_the_papers_ct_takes_the_window_of_its_file():
    images, body = normalize(np.array([[[-150, 50, 250]]]), "ct", Intensity(preset="paper"), (-150, 250), "scan")
    assert images.ravel().tolist() == [-1, 0, 1]
    assert body.ravel().tolist() == [False, True, True]
    with pytest.raises(InputError, match="scan: found no display window"):
        normalize(np.array([[[-150, 50, 250]]]), "ct", Intensity(preset="paper"), None, "scan")


def test_stored_intensities_span_their_documented_range():
    images = np.array([[[-1, 0, 1]]], np.float32)
    assert denormalize(images, "ct", Intensity()).ravel().tolist() == [864, 1064, 1264]
    assert denormalize(images, "t1", Intensity()).ravel().tolist() == [0, 500, 1000]
    assert stored_range("ct", Intensity()) == (864, 1264)


def test_a_ct_survives_the_round_trip_within_a_hounsfield_unit(ct):
    images, _ = normalize(ct, "ct", Intensity(), None, "scan")
    stored = denormalize(images, "ct", Intensity())
    np.testing.assert_allclose(stored.astype(float) - 1024, np.clip(ct, -160, 240), atol=1)
