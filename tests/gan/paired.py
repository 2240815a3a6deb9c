"""What the tests of pix2pix and its kin share: their losses in NumPy, from the networks' outputs on."""

import numpy as np
import torch
from torch import Tensor, nn

from gan.batch import Batch
from gan.methods.pix2pix import Pix2Pix


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def terms_of(method: Pix2Pix, batch: Batch) -> dict[str, float]:
    """Return all players' terms; the gradient penalty's points come from seed 1."""
    fakes = method.fakes(batch)
    torch.manual_seed(1)
    return {name: term.item() for player in method.players() for name, term in player.terms(batch, fakes).items()}


def judgement(method: Pix2Pix, image: Tensor, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the critic's scores (B, 1, H/32, W/32) and logits (B, kinds) of the pairs (image, source)."""
    with torch.no_grad():
        score, logits = method.critic(torch.cat([image, batch.image], dim=1))
    return score.numpy().astype(float), logits.numpy().astype(float)


def penalty(method: Pix2Pix, fake: Tensor, batch: Batch) -> float:
    """Return (‖∂ Σ score / ∂y‖ − 1)² at points between truth and fake, the mean over slices; points from seed 1."""
    torch.manual_seed(1)
    share = torch.rand(len(fake), 1, 1, 1)
    between = (share * batch.truth + (1 - share) * fake).requires_grad_()
    score, _ = method.critic(torch.cat([between, batch.image], dim=1))
    (gradient,) = torch.autograd.grad(score.sum(), between)
    return np.mean((np.sqrt((gradient.numpy().astype(float) ** 2).sum((1, 2, 3))) - 1) ** 2)


def adversaries_and_distance(method: Pix2Pix, fake: Tensor, batch: Batch) -> dict[str, float]:
    """Return pix2pix's terms: sums over patches and pixels, means over slices."""
    score, _ = judgement(method, batch.truth, batch)
    score_fake, _ = judgement(method, fake, batch)
    distance = np.abs(fake.numpy().astype(float) - batch.truth.numpy())
    count = len(fake)
    return {
        "critic": (score_fake.sum() - score.sum()) / count,
        "penalty": penalty(method, fake, batch),
        "adversarial": -score_fake.sum() / count,
        "l1": distance.sum() / count,
    }


def naming(logits: np.ndarray, target: np.ndarray, kind: str) -> float:
    """Return the classification loss of logits (B, targets) for modalities 1, 2, …."""
    label = target - 1
    if kind == "softmax":
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return np.mean([-np.log(p[b, label[b]]) for b in range(len(p))])
    p, wanted = 1 / (1 + np.exp(-logits)), np.eye(logits.shape[1])[label]
    return -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).sum() / len(p)


def dice_loss(probability: Tensor, mask: Tensor) -> float:
    """Return 1 − the mean over slices of the soft Dice score with smoothing 1."""
    scores = []
    for p, y in zip(probability.detach().numpy().astype(float), mask.numpy().astype(float), strict=True):
        scores.append((2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1))
    return 1 - sum(scores) / len(scores)
