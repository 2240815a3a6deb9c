import numpy as np
import pytest
import torch

from gan.losses import gradient_penalty, mean

WEIGHTS = np.random.default_rng(1).normal(size=(2, 16))


def score(images: np.ndarray) -> np.ndarray:
    """Two patches' scores of each 4×4 image, (B, 2)."""
    return np.tanh(images.reshape(len(images), 16) @ WEIGHTS.T) * 3 + (images**2).sum((1, 2, 3))[:, None]


def torch_score(images: torch.Tensor) -> torch.Tensor:
    weights = torch.from_numpy(WEIGHTS).to(images.dtype)
    return torch.tanh(images.flatten(1) @ weights.T) * 3 + images.square().sum((1, 2, 3))[:, None]


def test_gradient_penalty_by_finite_differences():
    real, fake = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64).unbind()
    torch.manual_seed(7)
    penalty = gradient_penalty(torch_score, real, fake).item()
    torch.manual_seed(7)
    share = torch.rand(3, 1, 1, 1, dtype=torch.float64).numpy()
    mixed, step, norms = share * real.numpy() + (1 - share) * fake.numpy(), 1e-5, np.zeros(3)
    for pixel in np.ndindex(1, 4, 4):
        shift = np.zeros((1, 1, 4, 4))
        shift[(0, *pixel)] = step
        slope = (score(mixed + shift).sum(1) - score(mixed - shift).sum(1)) / (2 * step)
        norms += slope**2
    assert penalty == pytest.approx(np.mean((np.sqrt(norms) - 1) ** 2), rel=1e-6)


def test_gradient_penalty_is_float32_under_autocast():
    real, fake = torch.randn(2, 3, 1, 4, 4).unbind()
    torch.manual_seed(7)
    expected = gradient_penalty(torch_score, real, fake)
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        assert gradient_penalty(torch_score, real, fake) == expected


def test_mean_of_nothing_is_a_zero_that_has_a_gradient():
    values = torch.zeros(0, 3, requires_grad=True)
    mean(values).backward()
    assert mean(values) == 0
    assert mean(torch.tensor([[1.0, 2.0], [3.0, 6.0]])) == 3
