"""The gradient consistency of CycleGAN + GC against NumPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from gan.methods.cyclegan import CycleGAN, gradient_correlation
from gan.methods.cyclegan_gc import CycleGANGC
from gan.settings import resolve

KERNELS = {  # of ∂x, as a correlation
    "sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "difference": [[0, 0, 0], [0, -1, 1], [0, 0, 0]],
    "central": [[0, 0, 0], [-1, 0, 1], [0, 0, 0]],
}


def correlation(one, two, gradient="sobel", absolute=False):
    """Return eq. 4 of two images (H, W)."""
    kernel = np.array(KERNELS[gradient], float)
    found = []
    for direction in (kernel, kernel.T):
        a, b = (ndimage.correlate(image.astype(float), direction, mode="nearest") for image in (one, two))
        if absolute:
            a, b = np.abs(a), np.abs(b)
        found.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    return sum(found) / 2


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("gradient", KERNELS)
def test_gradient_correlation_by_hand(gradient, absolute):
    one, two = noise(2, 3, 1, 12, 9)
    two = 0.3 * one + 0.7 * two
    found = gradient_correlation(one, two, gradient, absolute)
    expected = [correlation(x[0].numpy(), y[0].numpy(), gradient, absolute) for x, y in zip(one, two, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("gradient", KERNELS)
def test_gradient_correlation_knows_edges_not_intensities(gradient):
    image = noise(2, 1, 16, 16)
    for other, absolute, expected in (
        (image, False, 1),
        (0.1 * image + 0.6, False, 1),
        (-image, False, -1),
        (-image, True, 1),
    ):
        found = gradient_correlation(image, other, gradient, absolute)
        assert found.tolist() == pytest.approx([expected] * 2, abs=1e-4)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("gradient", KERNELS)
def test_a_constant_image_correlates_with_nothing(gradient, absolute):
    shape = (2, 1, 16, 16)
    rounding = torch.full(shape, 0.3) + 1e-6 * noise(*shape)
    for constant in (torch.full(shape, -1.0), rounding):
        for one, two in ((constant, noise(*shape)), (noise(*shape), constant), (constant, constant)):
            one, two = one.clone().requires_grad_(), two.clone().requires_grad_()
            found = gradient_correlation(one, two, gradient, absolute)
            assert found.tolist() == [0, 0]
            for gradients in torch.autograd.grad(found.sum(), [one, two]):
                assert not gradients.any()


def test_an_image_that_changes_in_one_direction_alone():
    ramp = torch.linspace(-1, 1, 16).square().expand(1, 1, 16, 16)
    assert gradient_correlation(ramp, ramp, "sobel", False).item() == pytest.approx(0.5)
    assert gradient_correlation(ramp, ramp.mT, "sobel", False).item() == 0


def test_gradient_correlation_is_float32_under_autocast():
    one, two = noise(2, 1, 1, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradient_correlation(one, two, "sobel", False)
    assert torch.equal(found, gradient_correlation(one, two, "sobel", False))


def test_the_ablation_without_gradient_consistency_changes_nothing_else():
    without = resolve(CycleGANGC.paper, {}, {"weights": {"gradient_consistency": 0.0}}, "cyclegan_gc")
    changed = {key for key, value in vars(without).items() if value != getattr(CycleGANGC.paper, key)}
    assert changed == {"weights"}
    assert without.weights == CycleGAN.paper.weights | {"cycle": 3}
