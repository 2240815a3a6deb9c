"""Loss functions that two or more methods share."""

from collections.abc import Callable

import torch
from torch import Tensor


def mean(values: Tensor) -> Tensor:
    """Return the mean of all values; 0, still attached to the graph, where there are none."""
    return values.sum() / max(values.numel(), 1)


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean over slices of (‖∇ score‖₂ − 1)² at random points between `real` and `fake`, (B, 1, H, W).

    A slice's score is the sum of its patches' scores. Computed in float32 under any autocast; the points are drawn on
    the CPU, so that they are the same on every device.
    Source: Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, eq. 3.
    """
    share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype).to(real.device)
    mixed = torch.lerp(fake, real, share).detach().requires_grad_()
    with torch.autocast(mixed.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(score(mixed).sum(), mixed, create_graph=True)
    return mean((gradient.flatten(1).norm(dim=1) - 1).square())
