"""TarGAN (Chen, Wei and Li, MICCAI 2021): StarGAN with a second stream that translates the target area alone.

The generator maps (x_s, r_s, t) to (x_t, r_t): the whole image x and the target area r = y·x pass own encoders and
decoders and one shared middle. A shape controller S finds the foreground of the fakes (eq. 4, 9), the crossing loss
(eq. 6) ties both streams, and the critics D_x, D_r learn which modality a fake was made *from* (the untraceable
constraint, eq. 2: classes s + c), while the generator wants it taken for a real t (eq. 3). Only x is run at test time.

The paper writes a logarithmic adversarial loss (eq. 1) and trains WGAN-GP (section 3.1): so do we. Where it is silent
we follow the public code: the layers; a slice without target is left out of D_r and of the generator's adversarial and
modality terms on r; the crossing loss compares images in [0, 1], where masked pixels are 0, while the background of r
is −1 in what networks see; absolute and squared errors are means over all pixels of the batch.

Paper and code differ in
- the classification: −log D of a softmax (paper), binary cross-entropy summed over classes (code): `classification`;
- b^r: the pixels of r_s above background (paper), the mask y itself (code): `target_shape`.

S has a quarter of the generator's width, as published (16 of 64).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch
from gan.errors import InputError
from gan.layers import PatchCritic, at_least_float32, with_modality
from gan.losses import classification, gradient_penalty, mean
from gan.method import Method, Published
from gan.player import Player
from gan.processes import summed
from gan.settings import Settings

WEIGHTS = {
    "critic": 1.0,
    "penalty": 10.0,
    "modality_real": 1.0,
    "untraceable": 0.01,
    "adversarial": 1.0,
    "modality": 1.0,
    "reconstruction": 1.0,
    "shape": 1.0,
}
STREAM_WEIGHTS = {f"{term}_{stream}": weight for term, weight in WEIGHTS.items() for stream in "xr"} | {
    "crossing": 50.0
}


@dataclass(frozen=True, kw_only=True)
class TarGANSettings(Settings):
    """What TarGAN can be told; the defaults are the paper's."""

    width: int = 64
    batch_size: int = 4
    epochs: int | None = 50
    weights: dict[str, float] = field(default_factory=STREAM_WEIGHTS.copy)
    ema_decay: float = 0.999
    learning_rate: float = 1e-4  # of generator and shape controller
    critic_learning_rate: float = 3e-4
    classification: Literal["softmax", "bce"] = "softmax"
    target_shape: Literal["foreground", "mask"] = "foreground"  # b^r
    target_stream: bool = True  # False: no r stream, no D_r, no crossing loss

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return self.target_stream


class TarGAN(Method):
    """Generator, a critic for each stream and the shape controller, which is absent if both its weights are 0."""

    title = "TarGAN"
    citation = (
        "Chen, Wei, Li. TarGAN: target-aware generative adversarial networks for multi-modality medical image "
        "translation. MICCAI 2021"
    )
    labels_used = "all modalities"
    differences = "classification loss, shape of the target area"
    published = Published(modalities=3, image_size=256)
    settings: TarGANSettings
    generator: "Generator"
    paper: ClassVar[Settings] = TarGANSettings()
    official: ClassVar[Mapping[str, Any]] = {"classification": "bce", "target_shape": "mask"}

    def __init__(self, modalities: int, image_size: int, settings: TarGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        if settings.width % 4:
            raise InputError("targan: width", settings.width, "a multiple of 4")
        streams = ("x", "r") if settings.target_stream else ("x",)
        self.generator = Generator(modalities, settings.width, streams)
        self.critics = nn.ModuleDict(
            {stream: PatchCritic(image_size, settings.width, 2 * modalities) for stream in streams}
        )
        shaped = any(settings.weights[f"shape_{stream}"] for stream in streams)
        self.shape = ShapeController(settings.width // 4) if shaped else None

    def players(self) -> list[Player]:
        """Return the critics, then the generator with the shape controller."""
        s, betas = self.settings, (0.5, 0.9)
        rate = s.critic_learning_rate
        critics = [
            Player(f"critic_{name}", critic, partial(self.critic_terms, name), s.weights, rate, betas, detached=True)
            for name, critic in self.critics.items()
        ]
        lowering = nn.ModuleList([self.generator, *([self.shape] if self.shape is not None else [])])
        return [*critics, Player("generator", lowering, self.generator_terms, s.weights, s.learning_rate, betas)]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return x_t and, where there is that stream, r_t."""
        return self.generator.translate(self._real(batch), batch.target)

    def critic_terms(self, stream: str, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what D_x or D_r lowers; nothing for D_r where no slice shows the target."""
        critic, judged = self.critics[stream], self._judged(stream, batch)
        if isinstance(judged, Tensor) and not summed(judged.sum()):
            return {}
        real, fake = self._real(batch)[stream][judged], fakes[stream][judged]
        source = batch.source[judged]
        (score, score_fake), (kind, kind_fake) = (made.chunk(2) for made in critic(torch.cat([real, fake])))
        terms = {
            "critic": mean(score_fake) - mean(score),
            "penalty": gradient_penalty(lambda image: critic(image)[0], real, fake),
            "modality_real": classification(kind, source, self.settings.classification),
            "untraceable": classification(kind_fake, source + self.modalities, self.settings.classification),
        }
        return {f"{name}_{stream}": term for name, term in terms.items()}

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what G and S lower."""
        real, back = self._real(batch), self.generator.translate(fakes, batch.source)
        foreground, terms = {"x": batch.body, "r": self._target_shape(batch)}, {}
        if self.shape is not None:
            for stream, found in zip(fakes, self.shape(torch.cat(list(fakes.values()))).chunk(len(fakes)), strict=True):
                terms[f"shape_{stream}"] = F.mse_loss(found, foreground[stream])
        for stream, fake in fakes.items():
            judged = self._judged(stream, batch)
            score, kind = self.critics[stream](fake[judged])
            terms[f"adversarial_{stream}"] = -mean(score)
            terms[f"modality_{stream}"] = classification(kind, batch.target[judged], self.settings.classification)
            terms[f"reconstruction_{stream}"] = F.l1_loss(back[stream], real[stream])
        if "r" in fakes:
            x, r = ((fake + 1) / 2 for fake in (fakes["x"], fakes["r"]))
            terms["crossing"] = F.l1_loss(x * batch.target_mask, r)
        return terms

    def _real(self, batch: Batch) -> dict[str, Tensor]:
        """Return x_s and r_s, both in [-1, 1] with background −1."""
        area = torch.where(batch.target_mask > 0, batch.image, -1.0)
        return {stream: image for stream, image in (("x", batch.image), ("r", area)) if stream in self.critics}

    def _judged(self, stream: str, batch: Batch) -> Tensor | slice:
        """Return which slices the critic of `stream` sees: for x all, for r those with a target, (B,)."""
        return batch.target_mask.flatten(1).any(dim=1) if stream == "r" else slice(None)

    def _target_shape(self, batch: Batch) -> Tensor:
        """Return b^r."""
        mask = batch.target_mask
        return mask if self.settings.target_shape == "mask" else mask * (batch.image > -1)


class Generator(nn.Module):
    """The U-Net of fig. 2a: an encoder and a decoder for each stream around a shared middle.

    With width w the encoders have w and 2w channels, the middle 4w, 8w and, at the bottom, 16w.
    """

    def __init__(self, modalities: int, width: int, streams: Iterable[str]) -> None:
        super().__init__()
        self.modalities = modalities
        w = width
        self.encoders = nn.ModuleDict({s: Encoder([_block(1 + modalities, w), _block(w, 2 * w)]) for s in streams})
        self.shared_encoder = Encoder([_block(2 * w, 4 * w), _block(4 * w, 8 * w)])
        self.bottom = nn.Sequential(_block(8 * w, 16 * w), _up(16 * w))
        self.shared_decoder = Decoder([_widening(8 * w), _widening(4 * w)])
        self.decoders = nn.ModuleDict({s: Decoder([_widening(2 * w), _block(w + w // 2, w)]) for s in streams})
        self.outputs = nn.ModuleDict({s: nn.Conv2d(w, 1, 1, bias=False) for s in streams})

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Translate whole images (B, 1, H, W) in [-1, 1] to `target` (B,); height and width divisible by 16."""
        return self.translate({"x": image}, target)["x"]

    def translate(self, images: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Translate each stream's images, (B, 1, H, W) in [-1, 1], to the modalities `target` (B,)."""
        encoded = {s: self.encoders[s](with_modality(image, target, self.modalities)) for s, image in images.items()}
        features, skips = self.shared_encoder(torch.cat([features for features, _ in encoded.values()]))
        shared = self.shared_decoder(self.bottom(features), skips).chunk(len(images))
        return {
            s: torch.tanh(at_least_float32(self.outputs[s](self.decoders[s](features, encoded[s][1]))))
            for s, features in zip(images, shared, strict=True)
        }


class Encoder(nn.ModuleList):
    """Blocks, each followed by 2×2 average pooling; a skip is the first half of a block's channels."""

    def forward(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features at the lowest resolution and the skips, deepest first."""
        skips: list[Tensor] = []
        for block in self:
            features = block(features)
            skips.insert(0, features[:, : features.shape[1] // 2])
            features = F.avg_pool2d(features, 2)
        return features, skips


class Decoder(nn.ModuleList):
    """Blocks, each of which reads the features and the skip of its resolution."""

    def forward(self, features: Tensor, skips: list[Tensor]) -> Tensor:
        """Return the features at the highest resolution."""
        for block, skip in zip(self, skips, strict=True):
            features = block(torch.cat([features, skip], dim=1))
        return features


class ShapeController(nn.Module):
    """S: a U-Net of five levels that finds the foreground of an image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(_block(a, b) for a, b in zip([1, *channels], channels, strict=False))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in channels[3::-1])
        self.up = nn.ModuleList(_block(2 * c, c) for c in channels[3::-1])
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 1, H, W) in [-1, 1] to the probability of foreground; height and width 32, 48, …."""
        features, skips = image, []
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        for enlarge, block, skip in zip(self.enlarge, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([skip, enlarge(features)], dim=1))
        return torch.sigmoid(at_least_float32(self.out(features)))


def _convolution(before: int, after: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return [convolution, nn.InstanceNorm2d(after, affine=True), nn.LeakyReLU(0.01, inplace=True)]


def _block(before: int, after: int) -> nn.Module:
    return nn.Sequential(*_convolution(before, after), *_convolution(after, after))


def _up(channels: int) -> nn.Module:
    """Double height and width, halve the channels."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *_convolution(channels, channels // 2))


def _widening(channels: int) -> nn.Module:
    """Read `channels` and a skip of half as many; double height and width, halve the channels."""
    return nn.Sequential(_block(channels + channels // 2, channels), _up(channels))
