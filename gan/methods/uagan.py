"""UAGAN (Yuan et al., MICCAI 2019): one network translates and segments, trained without pairs.

Two U-Nets of four levels run side by side. One reads the slice and segments it; the other reads the slice with one-hot
maps of the wanted modality and translates it. They share the bottleneck, and each decoder's skips are those of its own
encoder and what an attention lets through of the other's: self + w(other)·σ(a(other)).

The translation plays StarGAN's game (WGAN-GP, classification, reconstruction). Segmentation is a cross-entropy in which
the target's pixels weigh 0.98 and the background's 0.02, divided by the sum of these weights. Shape consistency is the
same of the fake on its way back; its weight grows linearly from 0 over the first 60 of 100 epochs. The learning rate is
constant for as long, then falls linearly to a hundredth. Both are shares of the training, however long it is.

The public code, of which no difference from the paper is known, decides the rest:

- The translation is not bounded in training; what `translate` returns is cut off at ±1.
- The deepest skip of both encoders, not what goes down to the bottleneck, has half of its values dropped in training.
- At test, the translating stream is asked for the slice's own modality, and the other one's softmax is the result.
- Padding is zero. Instance norm has no weights, so that a bias before it would be in vain: it is left out, while the
  code has it, dead. The critic's first slope is 0.001.

Two choices are ours: critic and generator see the same fakes (the code draws the dropout anew for each), and slices are
flipped alone (the code also turns, zooms and crops them).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan import processes
from gan.batch import Batch
from gan.layers import PatchCritic, at_least_float32, with_modality
from gan.losses import naming_critic_terms
from gan.method import Method, Published
from gan.player import Player
from gan.processes import drawn, summed
from gan.settings import Settings

WEIGHTS = {
    "critic": 1.0,
    "penalty": 10.0,
    "modality_real": 1.0,
    "adversarial": 1.0,
    "modality": 1.0,
    "reconstruction": 10.0,
    "segmentation": 100.0,
    "shape": 100.0,
}
CLASS_WEIGHTS = (0.02, 0.98)  # background, target
RISE = 0.6  # of the training, in which the weight of `shape` rises and the learning rate stays
LEVELS = 4


@dataclass(frozen=True, kw_only=True)
class UAGANSettings(Settings):
    """What UAGAN can be told; the defaults are the published ones."""

    width: int = 64
    batch_size: int = 8
    epochs: int | None = 100
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 1e-4
    decay_to: float = 0.01  # of the learning rate at the end

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return bool(self.weights["segmentation"] or self.weights["shape"])


class UAGAN(Method):
    """Generator, which translates and segments, and critic."""

    title = "UAGAN"
    citation = (
        "Yuan, Wei, Wang, Ma, Tasdizen. Unified attentional generative adversarial network for brain tumor "
        "segmentation from multimodal unpaired images. MICCAI 2019"
    )
    labels_used = "all modalities"
    differences = "none known"
    segments = True
    published = Published(modalities=3, image_size=128)
    settings: UAGANSettings
    generator: "Generator"
    paper: ClassVar[Settings] = UAGANSettings()
    official: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, modalities: int, image_size: int, settings: UAGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        self.generator = Generator(modalities, settings.width)
        self.critic = PatchCritic(image_size, settings.width, modalities, first_slope=0.001)

    def players(self) -> list[Player]:
        """Return the critic, then the generator."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.0, 0.999))
        return [
            Player("critic", self.critic, self.critic_terms, *adam, schedule=self._decay, detached=True),
            Player(
                "generator", self.generator, self.generator_terms, *adam, schedule=self._decay, ramps={"shape": rise}
            ),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch in its wanted modalities and its segmentation as logits."""
        image, logits = self.generator(batch.image, batch.target)
        return {"image": image, "logits": logits}

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critic lowers."""
        return naming_critic_terms(self.critic, batch.image, fakes["image"], batch.source)

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generator lowers.

        A fake passes for its wanted modality and leads back to its source; the target is found in slice and fake.
        """
        score, kind = self.critic(fakes["image"])
        back, logits = self.generator(fakes["image"], batch.source)
        return {
            "adversarial": -score.mean(),
            "modality": F.cross_entropy(kind, batch.target),
            "reconstruction": F.l1_loss(back, batch.image),
            "segmentation": weighted_cross_entropy(fakes["logits"], batch.target_mask),
            "shape": weighted_cross_entropy(logits, batch.target_mask),
        }

    def translate(self, model: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return `image` (B, 1, H, W) in [-1, 1] as modalities `target` (B,)."""
        translated: Tensor = model(image, target)[0]
        return translated.clamp(-1, 1)

    def segment(self, model: nn.Module, image: Tensor, source: Tensor) -> Tensor:
        """Return the probability of the target, (B, 1, H, W), in `image` of modalities `source` (B,)."""
        logits: Tensor = model(image, source)[1]
        return logits.softmax(dim=1)[:, 1:]

    def _decay(self, progress: float) -> float:
        """Return 1 for the first 60 % of the training, then fall linearly to `decay_to`."""
        end = self.settings.decay_to
        return end + (1 - end) * min(1.0, (1 - progress) / (1 - RISE))


def rise(progress: float) -> float:
    """Rise linearly from 0 to 1 over the first 60 % of the training, then stay."""
    return min(1.0, progress / RISE)


def weighted_cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the cross-entropy of (B, 2, H, W) logits and a {0, 1} mask (B, 1, H, W), a mean weighted by class."""
    weight = torch.tensor(CLASS_WEIGHTS, device=logits.device)
    label = mask[:, 0].long()
    return F.cross_entropy(logits, label, weight, reduction="sum") * processes.count() / summed(weight[label].sum())


class Generator(nn.Module):
    """An encoder and a decoder for each of translation and segmentation, and the bottleneck between them."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.modalities = modalities
        deepest = width * 2**LEVELS
        self.encoders = nn.ModuleList(Encoder(inputs, width) for inputs in (1 + modalities, 1))
        self.bottleneck = _block(deepest // 2, deepest)
        self.decoders = nn.ModuleList(Decoder(outputs, width) for outputs in (1, 2))

    def forward(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the translation to `target` (B,), unbounded, and the logits (B, 2, H, W) of background and target.

        `image` is (B, 1, H, W) in [-1, 1]; height and width divisible by 16.
        """
        given = (with_modality(image, target, self.modalities), image)
        (down, skips), (other_down, other_skips) = (
            encoder(features) for encoder, features in zip(self.encoders, given, strict=True)
        )
        features, other_features = self.bottleneck(torch.cat([down, other_down])).chunk(2)
        translation, segmentation = self.decoders
        return translation(features, skips, other_skips), segmentation(other_features, other_skips, skips)


class Encoder(nn.Module):
    """Blocks, each followed by 2×2 maximum pooling."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(LEVELS)]
        self.blocks = nn.ModuleList(_block(a, b) for a, b in zip([inputs, *channels], channels, strict=False))
        self.dropout = Dropout()

    def forward(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features at the lowest resolution and the skips, deepest first."""
        skips: list[Tensor] = []
        for block in self.blocks:
            features = block(features)
            skips.insert(0, features)
            features = F.max_pool2d(features, 2)
        return features, [self.dropout(skips[0]), *skips[1:]]


class Decoder(nn.Module):
    """Blocks, each of which reads the enlarged features and the skip of its resolution; a 1×1 convolution."""

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in reversed(range(LEVELS))]
        self.other = nn.ModuleList(_convolution(c, c) for c in channels)
        self.attention = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for c in channels)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in channels)
        self.blocks = nn.ModuleList(_block(2 * c, c) for c in channels)
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, features: Tensor, skips: list[Tensor], other_skips: list[Tensor]) -> Tensor:
        """Return (B, outputs, H, W), float32, of the bottleneck's features and both encoders' skips, deepest first."""
        levels = zip(self.other, self.attention, self.enlarge, self.blocks, skips, other_skips, strict=True)
        for convolution, attention, enlarge, block, skip, other in levels:
            fused = skip + convolution(other) * torch.sigmoid(attention(other))
            features = block(torch.cat([fused, enlarge(features)], dim=1))
        result: Tensor = at_least_float32(self.out(features))
        return result


class Dropout(nn.Module):
    """In training, half of the values become 0 and the others double; drawn on the CPU, the same on every device."""

    def forward(self, features: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        if not self.training:
            return features
        kept = drawn(lambda count: torch.rand(count, *features.shape[1:]) < 0.5, features)
        return 2 * features * kept


def _convolution(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm2d(after), nn.LeakyReLU(0.01, inplace=True))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_convolution(before, after), _convolution(after, after))
