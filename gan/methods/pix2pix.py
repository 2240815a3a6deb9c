"""pix2pix as TC-MGAN's baseline (Xin et al., ISBI 2020; Isola et al., CVPR 2017): one network a target, from pairs.

The generator is pix2pix's U-Net for 128 pixels: 4×4 convolutions of stride 2, instance norm without weights, no
dropout, tanh. The critic reads the pair (y, x), the wanted image, real or fake, and its source; it has five levels, so
that a score is of a 32×32 patch. What several targets need, a condition and a classification, is MGAN's.

The paper writes a logarithmic adversarial loss (eq. 1) and trains all its models with WGAN-GP (section 2.4): so do we.
The penalty (eq. 5) is on y alone, x held fixed; one critic step a generator step; weights 100 for the penalty and 0.1
for the L1 distance (section 3.1). Where it is silent we follow the public code of TC-MGAN, to which its weights are
tuned:

- the reductions: a slice's score is the *sum* of its patches' scores, its L1 distance the *sum* over its pixels; both
  are averaged over slices. The penalty bounds the gradient of the summed score, so few patches (4 of a 64×64 image, 16
  of a 128×128 one) pull as hard as many, but the L1 distance grows with the pixels: its weight is for 128×128;
- Adam's β, the initial weights: N(0, 0.02²) in the generator, He's in the critic, biases 0;
- the learning rate falls by steps (section 3.1) for both networks.

The key `downs` is ours: the published network halves the image seven times, which takes 128 pixels; six take 64.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch, Draw
from gan.errors import InputError
from gan.layers import PatchCritic, at_least_float32, he_initialized, normal_initialized
from gan.losses import gradient_penalty
from gan.method import Method, Published
from gan.player import Player
from gan.scope import Scope
from gan.settings import Settings

WEIGHTS = {"critic": 1.0, "penalty": 100.0, "adversarial": 1.0, "l1": 0.1}


@dataclass(frozen=True, kw_only=True)
class Pix2PixSettings(Settings):
    """What pix2pix can be told; the defaults are the paper's."""

    width: int = 64
    batch_size: int = 64
    epochs: int | None = 100
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 2e-4
    downs: int = 7  # times that the generator halves the image


class Pix2Pix(Method):
    """Generator and critic."""

    title = "pix2pix"
    citation = (
        "Isola et al. Image-to-image translation with conditional adversarial networks. CVPR 2017; trained as in Xin, "
        "Hu, Zheng, Liao. Multi-modality generative adversarial networks with tumor consistency loss for brain MR "
        "image synthesis. ISBI 2020"
    )
    labels_used = "none"
    differences = "nothing known: the public code is of TC-MGAN bw, with these networks and losses"
    scope = Scope.ONE_TO_ONE
    draw = Draw.ALIGNED
    published = Published(modalities=2, image_size=128)
    settings: Pix2PixSettings
    paper: ClassVar[Settings] = Pix2PixSettings()
    official: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, modalities: int, image_size: int, settings: Pix2PixSettings) -> None:
        super().__init__(modalities, image_size, settings)
        if settings.downs < 2:
            raise InputError("downs", settings.downs, "at least 2")
        least = 2**settings.downs
        if image_size < least or image_size % least:
            raise InputError("image_size", image_size, f"a multiple of {least} pixels, or fewer downs")
        self.generator = normal_initialized(UNet(1 + self.kinds, settings.width, settings.downs))
        self.critic = he_initialized(PatchCritic(image_size, settings.width, self.kinds, inputs=2, levels=5))

    @property
    def kinds(self) -> int:
        """How many targets the generator is told and the critic tells apart; none where there is but one."""
        return 0

    def players(self) -> list[Player]:
        """Return the critic, then the generator."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.9, 0.999))
        return [
            Player("critic", self.critic, self.critic_terms, *adam, schedule=falling, detached=True),
            Player("generator", self.generator, self.generator_terms, *adam, schedule=falling),
        ]

    def told(self, image: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the generator reads: the image, (B, 1, H, W), and nothing of its only target."""
        return image

    def translate(self, model: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return `image` (B, 1, H, W) in [-1, 1] as modalities `target` (B,); the source is always the first."""
        translated: Tensor = model(self.told(image, target))
        return translated

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch in its wanted modalities."""
        return {"image": self.translate(self.generator, batch.image, batch.source, batch.target)}

    def judged(self, image: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return the critic's score of each slice, (B,), and its logits, of `image` as a translation of `source`."""
        score, logits = self.critic(torch.cat([image, source], dim=1))
        return score.sum(dim=(1, 2, 3)), logits

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critic lowers: it scores real pairs high and fake ones low (eq. 6)."""
        real, fake = truth(batch), fakes["image"]
        both = self.judged(torch.cat([real, fake]), batch.image.repeat(2, 1, 1, 1))
        (score, score_fake), (logits, _) = (made.chunk(2) for made in both)
        return {
            "critic": score_fake.mean() - score.mean(),
            "penalty": gradient_penalty(lambda image: self.judged(image, batch.image)[0], real, fake),
            **self.classified("modality_real", logits, batch.target),
        }

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generator lowers: a fake passes for real and is like the truth (eq. 7)."""
        score, logits = self.judged(fakes["image"], batch.image)
        return {
            "adversarial": -score.mean(),
            "l1": (fakes["image"] - truth(batch)).abs().sum(dim=(1, 2, 3)).mean(),
            **self.classified("modality", logits, batch.target),
        }

    def classified(self, term: str, logits: Tensor, target: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the classification of `logits` (B, kinds) as the term of that name: none of a single target."""
        return {}


def truth(batch: Batch) -> Tensor:
    """Return the slices in their wanted modality, (B, 1, H, W) in [-1, 1], which every aligned batch has."""
    return cast(Tensor, batch.truth)


def falling(progress: float) -> float:
    """Return the factor of the learning rate: 1, then 1/2, 1/4 and 1/20 from 30, 60 and 90 % of the training on."""
    return next(factor for start, factor in ((0.9, 0.05), (0.6, 0.25), (0.3, 0.5), (0.0, 1.0)) if progress >= start)


class UNet(nn.Module):
    """Isola et al.'s U-Net: `downs` convolutions of stride 2 and as many transposed ones, every level skipped to.

    `width` channels at the first level, then 2, 4 and 8 times as many, 8 times from there on.
    """

    def __init__(self, inputs: int, width: int, downs: int) -> None:
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(downs)]
        deepest, *skips = channels[::-1]
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise([inputs, *channels])
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
            for before, after in zip([deepest, *(2 * skip for skip in skips)], [*skips, 1], strict=True)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, 1, H, W) in [-1, 1]; height and width divisible by 2 to the power of `downs`."""
        skips = [self.down[0](image)]
        for convolution in self.down[1:-1]:
            skips.append(F.instance_norm(convolution(F.leaky_relu(skips[-1], 0.2))))
        features = self.down[-1](F.leaky_relu(skips[-1], 0.2))
        for convolution, skip in zip(self.up[:-1], skips[::-1], strict=True):
            features = torch.cat([skip, F.instance_norm(convolution(F.relu(features)))], dim=1)
        return torch.tanh(at_least_float32(self.up[-1](F.relu(features))))
