"""TC-MGAN's segmentor S (Xin et al., ISBI 2020, section 2.3), trained on real slices before the GAN is.

It reads a slice of a target modality and one-hot maps of which one that is, no map for the source, and finds the target
structure. Each slice of a batch is taken in a random target modality. It lowers the soft Dice loss for 30 epochs.

The paper says a U-Net, Adam and the Dice loss; where it is silent we follow the public code: four 3×3 convolutions of
stride 2 (64 to 512 channels) with batch norm and ReLU, four transposed ones, skips between them, a sigmoid; He's
initial weights in the convolutions; Adam's β; the Dice loss of each slice over its pixels with smoothing 1, averaged
over slices. Paper and code differ in the learning rate, 1e-3 and 1e-4.

It is no segmenter of a study: it is blind to the source modality.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from gan.batch import Batch, Draw
from gan.errors import InputError
from gan.layers import at_least_float32, he_initialized, with_modality
from gan.losses import soft_dice
from gan.method import Method, Published
from gan.player import Player
from gan.scope import Scope
from gan.settings import Settings

STRIDE = 16


@dataclass(frozen=True, kw_only=True)
class ConditionalSegmentorSettings(Settings):
    """What the segmentor can be told; the defaults are the paper's."""

    width: int = 64
    batch_size: int = 64
    epochs: int | None = 30
    weights: dict[str, float] = field(default_factory={"segmentation": 1.0}.copy)
    learning_rate: float = 1e-3

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return True


class ConditionalSegmentor(Method):
    """S alone."""

    title = "TC-MGAN's segmentor"
    citation = (
        "Xin, Hu, Zheng, Liao. Multi-modality generative adversarial networks with tumor consistency loss for brain MR "
        "image synthesis. ISBI 2020"
    )
    labels_used = "all modalities"
    differences = "learning rate"
    scope = Scope.ONE_TO_ALL
    draw = Draw.ALIGNED
    translates = False
    published = Published(modalities=4, image_size=128)
    settings: ConditionalSegmentorSettings
    paper: ClassVar[Settings] = ConditionalSegmentorSettings()
    official: ClassVar[Mapping[str, Any]] = {"learning_rate": 1e-4}

    def __init__(self, modalities: int, image_size: int, settings: ConditionalSegmentorSettings) -> None:
        super().__init__(modalities, image_size, settings)
        if modalities < 2:
            raise InputError("modalities", modalities, "at least 2")
        if image_size < STRIDE or image_size % STRIDE:
            raise InputError("image_size", image_size, f"a multiple of {STRIDE} pixels")
        self.segmentor = Segmentor(modalities - 1, settings.width)

    @property
    def model(self) -> nn.Module:
        """What TC-MGAN starts from."""
        return self.segmentor

    def players(self) -> list[Player]:
        """Return the segmentor."""
        s = self.settings
        return [Player("segmentor", self.segmentor, self.terms, s.weights, s.learning_rate, (0.9, 0.999))]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        """Return nothing: it sees real slices."""
        return {}

    def terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Return what the segmentor lowers: the Dice loss of real slices of the wanted modalities."""
        found = self.segmentor(cast(Tensor, batch.truth), batch.target)
        return {"segmentation": soft_dice(found, batch.target_mask)}


class Segmentor(nn.Module):
    """The conditional U-Net of the public code."""

    def __init__(self, kinds: int, width: int) -> None:
        super().__init__()
        self.kinds = kinds
        w = width
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
            )
            for before, after in pairwise([1 + kinds, w, 2 * w, 4 * w, 8 * w])
        )
        self.up = nn.ModuleList(
            nn.Sequential(_doubling(before, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
            for before, after in ((8 * w, 8 * w), (12 * w, 4 * w), (6 * w, 2 * w))
        )
        self.out = _doubling(3 * w, 1)
        he_initialized(self)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Map (B, 1, H, W) in [-1, 1], which are of modalities `target` (B,), to the target's probability.

        Height and width divisible by 16.
        """
        features, skips = with_modality(image, target - 1, self.kinds), []
        for block in self.down:
            features = block(features)
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = torch.cat([skip, block(features)], dim=1)
        return torch.sigmoid(at_least_float32(self.out(features)))


def _doubling(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
