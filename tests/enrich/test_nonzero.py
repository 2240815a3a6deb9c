import numpy as np
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from scipy import ndimage

from enrich.nonzero import nonzero_mask


@pytest.mark.parametrize("seed", range(3))
def test_the_mask_is_nnunets(seed):
    rng = np.random.default_rng(seed)
    scan = ndimage.gaussian_filter(rng.normal(size=(12, 20, 24)), 1.5) * 20
    scan = scan.astype(np.int16) * (rng.random(scan.shape) < 0.97)
    found = nonzero_mask(scan)
    assert (found != (scan != 0)).any()  # holes, that were filled
    np.testing.assert_array_equal(found, create_nonzero_mask(scan[None]))
