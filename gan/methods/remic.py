"""ReMIC (Shen et al., IEEE TMI 2021): a content code that all modalities share and a style code of each.

Shen et al. complete the modalities that are missing of a patient. TarGAN's authors compare with a variant that needs no
pairs (their section 3.1), which this is: of every slice one modality is there, the others are missing. No public code
of either is known, so three sources are told apart.

- Shen et al.: the shared content encoder with zeros for missing inputs; a style encoder without norm for each modality,
  whose code of 8 numbers follows a standard normal; decoders with adaptive instance norm (AdaIN); least-squares critics
  of several scales with 64, 128, 256, 512 channels; segmentation from the content code, by Dice and cross-entropy; the
  weights: image consistency 10, all others 1.
- MUNIT (Huang et al., ECCV 2018), which ReMIC builds on, by its public code: kernels, two convolutions down and four
  residual blocks, three layers from style to AdaIN, layer norm where images grow, three scales, reflection padding,
  initial weights, Adam; absolute errors as means, summed over modalities, scores likewise summed over scales; critics
  before the generator. A bias that an instance norm would take away is left out; layer norm is `GroupNorm(1, …)`.
- Our choice, as nobody tells: a slice is translated to one other modality a round, and its fake, alone, encoded again
  (Shen et al. encode all modalities at once). Image consistency is reconstruction from a slice's own codes; MUNIT's
  optional cycle there and back is left out. Critics and generator see the same fakes (MUNIT draws styles for each). G_s
  is a decoder with plain instance norm; it learns from the content of real slices alone, which is what it segments at
  test; its Dice is of slices and smoothed by 1. Style 0, the mean of what training draws from, translates at test. One
  slice of each of three modalities a batch; 100,000 rounds, in which MUNIT's rate does not fall yet; no weight decay.

With width w the code has 4w channels at a quarter of the resolution, the layers from style to AdaIN have 4w.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch, Draw
from gan.content_style import STRIDE, STYLE, Critic, Generator
from gan.errors import InputError
from gan.layers import rows_of_each
from gan.losses import mean_of_each, soft_dice
from gan.method import Method, Published
from gan.player import Player
from gan.processes import drawn
from gan.settings import Settings

WEIGHTS = {
    "critic": 1.0,
    "adversarial": 1.0,
    "image": 10.0,
    "content": 1.0,
    "style": 1.0,
    "segmentation": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class ReMICSettings(Settings):
    """What ReMIC can be told; the defaults are the papers', MUNIT's or ours, as the module says."""

    width: int = 64
    batch_size: int = 3
    rounds: int | None = 100_000
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 1e-4

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return bool(self.weights["segmentation"])


class ReMIC(Method):
    """Generator, which translates and segments, and a critic for each modality."""

    title = "ReMIC"
    citation = (
        "Shen et al. Multi-domain image completion for random missing input data. IEEE Transactions on Medical Imaging "
        "2021; without pairs as in Chen, Wei, Li. TarGAN. MICCAI 2021"
    )
    labels_used = "all modalities"
    differences = "no public code is known"
    draw = Draw.BALANCED
    segments = True
    published = Published(modalities=3, image_size=256)
    settings: ReMICSettings
    generator: Generator
    paper: ClassVar[Settings] = ReMICSettings()
    official: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, modalities: int, image_size: int, settings: ReMICSettings) -> None:
        super().__init__(modalities, image_size, settings)
        if image_size < STRIDE or image_size % STRIDE:
            raise InputError("image_size", image_size, f"a multiple of {STRIDE} pixels")
        self.generator = Generator(modalities, settings.width)
        self.critics = nn.ModuleList(Critic(settings.width) for _ in range(modalities))

    def players(self) -> list[Player]:
        """Return the critics of all modalities, then the generator."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.5, 0.999))
        return [
            Player("critics", self.critics, self.critic_terms, *adam, detached=True),
            Player("generator", self.generator, self.generator_terms, *adam),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the content codes of the batch, random styles, and what they make in the wanted modalities."""
        content = self.generator.content(batch.image, batch.source)
        of_each = (content[rows] for rows in rows_of_each(batch.source, self.modalities))  # the batch's order
        style = torch.cat([drawn(lambda count: torch.randn(count, STYLE), codes) for codes in of_each])
        return {"content": content, "style": style, "image": self.generator.decode(content, style, batch.target)}

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critics lower: real slices of their modality score 1, fakes 0."""
        return {
            "critic": self._distance(batch.image, batch.source, 1) + self._distance(fakes["image"], batch.target, 0)
        }

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generator lowers.

        A fake passes for its modality and leads back to the codes that it was made of, a slice's own codes to the
        slice, and its content to the target.
        """
        generator, source, target = self.generator, batch.source, batch.target
        fake, content = fakes["image"], fakes["content"]
        own = generator.decode(content, generator.style(batch.image, source), source)
        logits, mask = generator.target_logits(content), batch.target_mask
        return {
            "adversarial": self._distance(fake, target, 1),
            "image": self._error(own, batch.image, source),
            "content": self._error(generator.content(fake, target), content, source),
            "style": self._error(generator.style(fake, target), fakes["style"], target),
            "segmentation": soft_dice(torch.sigmoid(logits), mask) + F.binary_cross_entropy_with_logits(logits, mask),
        }

    def translate(self, model: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Translate `image` (B, 1, H, W) of modalities `source` (B,) to `target` (B,), with style 0."""
        generator = cast(Generator, model)
        content = generator.content(image, source)
        return generator.decode(content, content.new_zeros(len(content), STYLE), target)

    def segment(self, model: nn.Module, image: Tensor, source: Tensor) -> Tensor:
        """Return the probability of the target, (B, 1, H, W)."""
        generator = cast(Generator, model)
        return torch.sigmoid(generator.target_logits(generator.content(image, source)))

    def _distance(self, images: Tensor, kind: Tensor, wanted: float) -> Tensor:
        """Return the mean squared distance of scores from `wanted`, summed over scales and modalities."""
        chosen = rows_of_each(kind, self.modalities)
        distances = [
            torch.stack([(score - wanted).square().flatten(1).mean(dim=1) for score in critic(images[rows])]).sum(dim=0)
            for critic, rows in zip(self.critics, chosen, strict=True)
            if rows
        ]
        order = [row for rows in chosen for row in rows]
        return mean_of_each(torch.cat(distances), kind[order], self.modalities)

    def _error(self, found: Tensor, wanted: Tensor, kind: Tensor) -> Tensor:
        """Return the mean absolute error over the slices of a modality, summed over modalities."""
        each = F.l1_loss(found, wanted, reduction="none").flatten(1).mean(dim=1)
        return mean_of_each(each, kind, self.modalities)
