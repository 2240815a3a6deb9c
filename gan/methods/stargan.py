"""StarGAN (Choi et al., CVPR 2018): one generator for every pair of modalities, trained without pairs.

The generator reads the image and one-hot maps of the wanted modality; the critic scores patches and names the modality.
Wasserstein loss with gradient penalty (eq. 8), classification (eq. 2 and 3) and cycle reconstruction (eq. 4), weighted
10, 1 and 10 (section 4); five critic steps a generator step; the learning rate constant for the first half of the
training, then linearly to 0. Padding is zero: after reflection padding, an instance norm would erase the constant maps.

The public code lowers the rate from 1e-4 to 9.99e-5 only, as it takes a hundred-thousandth off a hundred times: key
`decay_to`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch
from gan.layers import PatchCritic, at_least_float32, with_modality
from gan.losses import naming_critic_terms
from gan.method import Method, Published
from gan.player import Player
from gan.schedules import decay_in_second_half
from gan.settings import Settings

WEIGHTS = {
    "critic": 1.0,
    "penalty": 10.0,
    "modality_real": 1.0,
    "adversarial": 1.0,
    "modality": 1.0,
    "reconstruction": 10.0,
}


@dataclass(frozen=True, kw_only=True)
class StarGANSettings(Settings):
    """What StarGAN can be told; the defaults are the paper's."""

    width: int = 64
    batch_size: int = 16
    rounds: int | None = 200_000
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 1e-4
    decay_to: float = 0.0  # of the learning rate at the end
    critic_steps: int = 5  # a generator step


class StarGAN(Method):
    """Generator and critic."""

    title = "StarGAN"
    citation = (
        "Choi et al. StarGAN: unified generative adversarial networks for multi-domain image translation. CVPR 2018"
    )
    labels_used = "none"
    differences = "the public code's learning rate hardly decays"
    published = Published(modalities=3, image_size=128)
    settings: StarGANSettings
    paper: ClassVar[Settings] = StarGANSettings()
    official: ClassVar[Mapping[str, Any]] = {"decay_to": 0.999}

    def __init__(self, modalities: int, image_size: int, settings: StarGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        self.generator = Generator(modalities, settings.width)
        self.critic = PatchCritic(image_size, settings.width, modalities)

    def players(self) -> list[Player]:
        """Return the critic, then the generator, which steps on every fifth batch."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.5, 0.999))
        schedule = partial(decay_in_second_half, end=s.decay_to)
        return [
            Player("critic", self.critic, self.critic_terms, *adam, schedule=schedule, detached=True),
            Player("generator", self.generator, self.generator_terms, *adam, every=s.critic_steps, schedule=schedule),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch in its wanted modalities."""
        return {"image": self.generator(batch.image, batch.target)}

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critic lowers."""
        return naming_critic_terms(self.critic, batch.image, fakes["image"], batch.source)

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generator lowers: a fake passes for its wanted modality and leads back to its source."""
        score, kind = self.critic(fakes["image"])
        return {
            "adversarial": -score.mean(),
            "modality": F.cross_entropy(kind, batch.target),
            "reconstruction": F.l1_loss(self.generator(fakes["image"], batch.source), batch.image),
        }


class Generator(nn.Module):
    """Choi et al., table 4: two convolutions down, six residual blocks, two transposed convolutions up."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.modalities = modalities
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(1 + modalities, width, 7, padding=3, bias=False)),
            *_normalized(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)),
            *_normalized(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False)),
            *(Residual(4 * width) for _ in range(6)),
            *_normalized(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False)),
            *_normalized(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False)),
            nn.Conv2d(width, 1, 7, padding=3, bias=False),
        )

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Translate (B, 1, H, W) in [-1, 1] to the modalities `target` (B,); height and width divisible by 4."""
        return torch.tanh(at_least_float32(self.layers(with_modality(image, target, self.modalities))))


class Residual(nn.Module):
    """x + f(x) of two 3×3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        result: Tensor = features + self.layers(features)
        return result


def _normalized(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(convolution.out_channels, affine=True), nn.ReLU(inplace=True)
