import numpy as np
import pytest

from enrich.gan_grid import from_gan_grid, to_gan_grid


def smooth(shape):
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.exp(-4 * (x**2 + (y - 0.2) ** 2)).astype(np.float32)[None] * np.float32([1, 0.5])[:, None, None]


@pytest.mark.parametrize("shape", [(64, 64), (100, 80), (53, 90), (240, 240)])
def test_round_trip_keeps_the_grid_and_the_place(shape):
    planes = smooth(shape)
    back = from_gan_grid(to_gan_grid(planes, 64, 0), shape)
    assert back.shape == planes.shape
    np.testing.assert_allclose(back, planes, atol=0.03)


def test_a_slice_is_centred_on_the_background():
    square = to_gan_grid(np.ones((1, 32, 64), np.float32), 64, -1)
    assert (square[0, :16] == -1).all()
    assert (square[0, 16:48] == 1).all()
    assert (square[0, 48:] == -1).all()


def test_shrinking_averages_and_does_not_pick():
    checkerboard = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)[None]
    np.testing.assert_allclose(to_gan_grid(checkerboard, 64, 0)[0, 4:-4, 4:-4], 0.5, atol=0.01)


def test_a_mask_may_be_boolean():
    assert to_gan_grid(np.ones((1, 8, 8), bool), 8, 0).dtype == np.float32
