"""Loss functions that two or more methods share."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gan import processes
from gan.processes import drawn, summed


def mean(values: Tensor) -> Tensor:
    """Return the mean of the values of all processes; 0, still attached to the graph, where there are none.

    A process returns its own share, so that the mean over the processes is that mean, however many values each has.
    """
    if processes.count() == 1:
        return values.sum() / max(values.numel(), 1)
    number = summed(torch.full((), float(values.numel()), device=values.device))
    return values.sum() * processes.count() / number.clamp(min=1)


def mean_of_each(values: Tensor, kind: Tensor, kinds: int) -> Tensor:
    """Return the mean over the slices of each kind, of all processes, summed over the kinds that there are.

    Args:
        values: of the slices, (B,).
        kind: theirs, (B,), below `kinds`.
        kinds: how many there are.
    """
    number = summed(F.one_hot(kind, kinds).sum(dim=0))
    return (values / number[kind]).sum() * processes.count()


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean over slices of (‖∇ score‖₂ − 1)² at random points between `real` and `fake`, (B, 1, H, W).

    A slice's score is the sum of its patches' scores. Computed in float32 under any autocast; the points are drawn on
    the CPU, so that they are the same on every device.
    Source: Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, eq. 3.
    """
    share = drawn(lambda count: torch.rand(count, 1, 1, 1, dtype=real.dtype), real)
    mixed = torch.lerp(fake, real, share).detach().requires_grad_()
    with torch.autocast(mixed.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(score(mixed).sum(), mixed, create_graph=True)
    return mean((gradient.flatten(1).norm(dim=1) - 1).square())


def naming_critic_terms(
    critic: Callable[[Tensor], tuple[Tensor, Tensor]], real: Tensor, fake: Tensor, label: Tensor
) -> dict[str, Tensor]:
    """Return what StarGAN's critic lowers: it scores real patches high and fake ones low, and names real modalities.

    `critic` gives scores and logits of (B, 1, H, W); `fake` bears no graph; `label` (B,) is the modality of `real`.
    Source: Choi et al., CVPR 2018, eq. 2 and 8.
    """
    (score, score_fake), (kind, _) = (made.chunk(2) for made in critic(torch.cat([real, fake])))
    return {
        "critic": score_fake.mean() - score.mean(),
        "penalty": gradient_penalty(lambda image: critic(image)[0], real, fake),
        "modality_real": F.cross_entropy(kind, label),
    }


def classification(logits: Tensor, label: Tensor, kind: Literal["softmax", "bce"]) -> Tensor:
    """Return the mean over slices of the classification loss of `logits` (B, classes) for `label` (B,).

    softmax: −log of the label's probability; bce: the binary cross-entropies, summed over the classes.
    """
    if kind == "softmax":
        return mean(F.cross_entropy(logits, label, reduction="none"))
    wanted = F.one_hot(label, logits.shape[1]).to(logits.dtype)
    return mean(F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1))


def soft_dice(probability: Tensor, mask: Tensor) -> Tensor:
    """Return 1 − the mean over slices of (2·Σpy + 1) / (Σp + Σy + 1), the sums over a slice's pixels.

    Args:
        probability: p, (B, 1, H, W) in [0, 1].
        mask: y, of the same shape; where a slice has no target, it scores 1 / (Σp + 1).
    """
    p, y = probability.flatten(1), mask.flatten(1)
    return 1 - ((2 * (p * y).sum(dim=1) + 1) / (p.sum(dim=1) + y.sum(dim=1) + 1)).mean()
