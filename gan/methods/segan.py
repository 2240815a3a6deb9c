"""SegAN (Xue et al., Neuroinformatics 2018): a segmenter that learns from what a critic sees of the masked image.

Nahar et al. compose it with StarGAN, and report no experiment. We read the composition so: StarGAN fills the missing
channels of a case, SegAN segments the channels together, in nnU-Net's place and from the labels that nnU-Net would
read. With one channel it segments the real scan alone. Figure and equations below are theirs, which are Xue et al.'s.

The critic C sees the image under the segmentation, x∘S(x), and under the truth, x∘y, every channel multiplied by the
mask, and maximizes the mean absolute error (L1) between its features of both, averaged over its L layers (eq. 2 and 3);
S then minimizes the same, seen by the new C. `architecture` is

- `paper`: fig. 2. S halves the image four times by 4×4 convolutions of w, 2w, 4w, 8w channels and comes back by
  resizing and 3×3 convolutions, C halves it three times. The figure does not say how skips are joined (ours: by
  concatenation, as in the authors' code) nor how wide C is (ours: as S, w, 2w, 4w). It also draws an arrow from C's
  input to the features; eq. 3 has layers alone, and so have we.
- `official`: the public code. S is the deeper network of `gan.large_kernels`, C has six layers with kernels 7, 5, 4, 4,
  4, 3, and the errors of input and layers, times 1, 1, 2, 2, 2, 2, 4, are averaged once over all their values.

The code also adds a Dice loss to S: term `dice`, weight 0 in the paper, where S learns from C alone. It is 1 − the mean
over slices of 2·Σpy / (Σp² + Σy²); a slice without target counts 1 and teaches nothing.

Where the paper is silent, the code decides: all parameters of C stay within ± 0.05; batch norm after every convolution
but the first, the last and those of residual blocks; no bias, but in large kernels; leaky ReLU 0.2; bilinear resizing;
initial weights; Adam; batches of 36; C before S. The learning rate is halved after each eighth of the training, of 200
epochs every 25 as in the code. The number is ours: the code goes on until it is stopped (10,000 epochs at most, of
which the rate reaches its floor, 1e-8, within 400). It halves the rate after its first epoch already and takes logits
for probabilities at test: slips, which we do not repeat.

Images keep their range [-1, 1] under the mask: background, −1, is seen where S takes it for target.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch, Draw
from gan.errors import InputError
from gan.large_kernels import LargeKernelSegmenter, halving, initialize, resize
from gan.layers import at_least_float32
from gan.method import Method, Published
from gan.player import Player
from gan.settings import Settings

WEIGHTS = {"critic": 1.0, "features": 1.0, "dice": 0.0}
CLAMP = 0.05
SCALES = (1, 1, 2, 2, 2, 2, 4)  # weights of the official critic's input and layers
HALVINGS = 8  # of the learning rate, in equal steps


@dataclass(frozen=True, kw_only=True)
class SegANSettings(Settings):
    """What SegAN can be told; the defaults are the paper's, or the code's where it is silent."""

    width: int = 64
    batch_size: int = 36
    epochs: int | None = 200
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 2e-4
    architecture: Literal["paper", "official"] = "paper"

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return True


class SegAN(Method):
    """Segmenter and critic."""

    title = "SegAN"
    citation = (
        "Xue et al. SegAN: adversarial network with multi-scale L1 loss for medical image segmentation. "
        "Neuroinformatics 2018; with StarGAN in Nahar, Soomro, Monrat. A GAN based framework for multi-modal medical "
        "image segmentation"
    )
    labels_used = "own modality"
    differences = "depth and kernels of both networks, the weighting of the critic's features, a Dice loss"
    draw = Draw.STACKED
    translates = False
    segments = True
    published = Published(modalities=3, image_size=160)
    settings: SegANSettings
    paper: ClassVar[Settings] = SegANSettings()
    official: ClassVar[Mapping[str, Any]] = {"architecture": "official", "weights": {"dice": 1.0}}

    def __init__(self, modalities: int, image_size: int, settings: SegANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        self.official_networks = settings.architecture == "official"
        least = 64 if self.official_networks else 16
        if image_size < least or image_size % least:
            raise InputError("image_size", image_size, f"a multiple of {least} pixels")
        segmenter = LargeKernelSegmenter if self.official_networks else Segmenter
        self.generator = segmenter(modalities, settings.width).apply(initialize)
        self.critic = Critic(modalities, settings.width, (7, 5, 4, 4, 4, 3) if self.official_networks else (4, 4, 4))
        self.critic.apply(initialize)

    def players(self) -> list[Player]:
        """Return the critic, then the segmenter."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.5, 0.999))
        return [
            Player("critic", self.critic, self.critic_terms, *adam, schedule=halved, detached=True, clamp=CLAMP),
            Player("segmenter", self.generator, self.segmenter_terms, *adam, schedule=halved),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the segmentation of the batch."""
        return {"mask": self.generator(batch.image)}

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critic lowers: the distance of segmentation and truth as it sees it, negative."""
        found, wanted = (self.critic(batch.image * mask) for mask in (fakes["mask"], batch.target_mask))
        return {"critic": -self._distance(found, wanted)}

    def segmenter_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the segmenter lowers: that distance, and the Dice loss."""
        found = self.critic(batch.image * fakes["mask"])
        with torch.no_grad():
            wanted = self.critic(batch.image * batch.target_mask)
        return {"features": self._distance(found, wanted), "dice": dice_loss(fakes["mask"], batch.target_mask)}

    def segment(self, model: nn.Module, image: Tensor, source: Tensor) -> Tensor:  # noqa: ARG002
        """Return the probability of the target, (B, 1, H, W), in `image` (B, channels, H, W)."""
        probability: Tensor = model(image)
        return probability

    def _distance(self, found: list[Tensor], wanted: list[Tensor]) -> Tensor:
        """Return the mean absolute error between two images' features: the input, then the critic's layers."""
        if not self.official_networks:
            return torch.stack([F.l1_loss(a, b) for a, b in zip(found[1:], wanted[1:], strict=True)]).mean()
        errors = [scale * (a - b).abs().sum() for scale, a, b in zip(SCALES, found, wanted, strict=True)]
        return torch.stack(errors).sum() / sum(features.numel() for features in found)


def halved(progress: float) -> float:
    """Halve the learning rate after each eighth of the training."""
    return 0.5 ** int(HALVINGS * progress)


def dice_loss(probability: Tensor, mask: Tensor) -> Tensor:
    """Return 1 − the mean over slices of 2·Σpy / (Σp² + Σy²), both (B, 1, H, W) in [0, 1]."""
    p, y = probability.flatten(1), mask.flatten(1)
    squares = (p.square() + y.square()).sum(dim=1)
    return 1 - (2 * (p * y).sum(dim=1) / squares.clamp(min=1e-6)).mean()


class Segmenter(nn.Module):
    """S of fig. 2: four levels down and up."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        self.down = nn.ModuleList(
            halving(before, after, 4, norm=level > 0)
            for level, (before, after) in enumerate(pairwise([channels, *widths]))
        )
        self.bottom = _convolution(widths[3], widths[2])
        self.up = nn.ModuleList([_convolution(2 * c, c // 2) for c in widths[2:0:-1]])
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, channels, H, W) in [-1, 1] to the target's probability; height and width divisible by 16."""
        features, skips = image, []
        for block in self.down:
            features = block(features)
            skips.append(features)
        features = self.bottom(resize(features, skips[2]))
        for block, skip, larger in zip(self.up, skips[2:0:-1], skips[1::-1], strict=True):
            features = block(resize(torch.cat([skip, features], dim=1), larger))
        features = resize(torch.cat([skips[0], features], dim=1), image)
        return torch.sigmoid(at_least_float32(self.out(features)))


class Critic(nn.Module):
    """C: an encoder of one convolution a level."""

    def __init__(self, channels: int, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        widths = [width * 2 ** min(level, 3) for level in range(len(kernels))]
        self.layers = nn.ModuleList(
            halving(before, after, kernel, norm=level > 0)
            for level, ((before, after), kernel) in enumerate(zip(pairwise([channels, *widths]), kernels, strict=True))
        )

    def forward(self, masked: Tensor) -> list[Tensor]:
        """Return a masked image (B, channels, H, W) and every layer's features of it, float32."""
        features = [masked]
        for layer in self.layers:
            features.append(layer(features[-1]))
        return [at_least_float32(each) for each in features]


def _convolution(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
