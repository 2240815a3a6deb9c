"""CycleGAN (Zhu et al., ICCV 2017): two modalities, a translator each way, tied by the way there and back.

G_b translates slices of the first modality, a, to the second, b, and G_a back; the critics D_a, D_b tell their fakes
from real slices, by least squares (section 4). The cycle (eq. 2) weighs 10 (eq. 3). As in the public code, the
generators step first, then the critics, which see the fakes made before the generators' step or, half of the time, an
earlier one of a pool of 50. The learning rate is constant for the first half of the training, then falls linearly to 0.

As in the public code, a term is a mean over patches, pixels or slices; the cycle and identity terms are the sums of
both directions'. Half the critics' loss counts (appendix 7.1 and the code): their weights. Padding is by reflection,
but for the strided convolutions'. Biases that a norm takes out again are kept, as the public code's parameters.

The public code adds an identity term of half the cycle's weight (G_b leaves a real b as it is), which the paper has for
paintings alone (section 5.2): weight `identity`. At weight 0 it is not computed, as it costs two more passes through
the generators. The code lowers the rate once an epoch, we in every round; it crops 256² of 286² pixels at random, while
our slices are flipped alone.

Gradient consistency (Hiasa et al., 2018: `cyclegan_gc`) has weight 0 here, so that the log shows it without its effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch, Draw
from gan.errors import InputError
from gan.layers import at_least_float32, by_modality, normal_initialized
from gan.method import Method, Published
from gan.player import Player
from gan.pool import Pool
from gan.schedules import decay_in_second_half
from gan.scope import Scope
from gan.settings import Settings

WEIGHTS = {
    "adversarial_a": 1.0,
    "adversarial_b": 1.0,
    "cycle": 10.0,
    "identity": 0.0,
    "gradient_consistency": 0.0,
    "critic_a": 0.5,
    "critic_b": 0.5,
}
FLAT = 1e-8  # variance over the pixels of a gradient of images in [-1, 1]: that of the rounding in float16 slices

Gradient = Literal["sobel", "difference", "central"]


@dataclass(frozen=True, kw_only=True)
class CycleGANSettings(Settings):
    """What CycleGAN can be told; the defaults are the paper's."""

    width: int = 64
    batch_size: int = 2  # one slice of each modality
    epochs: int | None = 200
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 2e-4  # of all networks
    pool_size: int = 50  # fakes of one modality
    gradient: Gradient = "sobel"  # whose consistency is meant; `difference`: to the next pixel
    absolute_gradient: bool = False  # True: an edge from dark to bright may become one from bright to dark


class CycleGAN(Method):
    """A generator, a critic and a pool for each modality: a, the first, and b, the second."""

    title = "CycleGAN"
    citation = (
        "Zhu, Park, Isola, Efros. Unpaired image-to-image translation using cycle-consistent adversarial networks. "
        "ICCV 2017"
    )
    labels_used = "none"
    differences = "the public code has an identity term"
    scope = Scope.PAIR
    draw = Draw.BALANCED
    published = Published(modalities=2, image_size=256)
    settings: CycleGANSettings
    generator: "Generators"
    paper: ClassVar[Settings] = CycleGANSettings()
    official: ClassVar[Mapping[str, Any]] = {"weights": {"identity": 5.0}}

    def __init__(self, modalities: int, image_size: int, settings: CycleGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        if image_size % 4 or image_size < 24:
            raise InputError("image_size", image_size, "a multiple of 4 pixels, at least 24")
        self.generator = Generators({name: normal_initialized(Generator(settings.width)) for name in "ab"})
        self.critics = nn.ModuleDict({name: normal_initialized(PatchGAN(settings.width)) for name in "ab"})
        self.pools = nn.ModuleDict({name: Pool(settings.pool_size, image_size) for name in "ab"})

    def players(self) -> list[Player]:
        """Return the generators, then the critics; each two step as one."""
        s = self.settings
        adam = (s.weights, s.learning_rate, (0.5, 0.999))
        return [
            Player("generators", self.generator, self.generator_terms, *adam, schedule=decay_in_second_half),
            Player("critics", self.critics, self.critic_terms, *adam, schedule=decay_in_second_half, detached=True),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return G_a(b) and G_b(a) by the modality that they are to pass for."""
        return self._translate(_by_modality(batch))

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generators lower: a fake passes, leads back to its source and has its edges."""
        s, real, back = self.settings, _by_modality(batch), self._translate(fakes)
        terms = {f"adversarial_{name}": (self.critics[name](fakes[name]) - 1).square().mean() for name in "ab"}
        terms["cycle"] = F.l1_loss(back["a"], real["a"]) + F.l1_loss(back["b"], real["b"])
        if s.weights["identity"]:
            same = {name: generator(real[name]) for name, generator in self.generator.items()}
            terms["identity"] = F.l1_loss(same["a"], real["a"]) + F.l1_loss(same["b"], real["b"])
        pairs = torch.cat([real["a"], real["b"]]), torch.cat([fakes["b"], fakes["a"]])
        terms["gradient_consistency"] = 1 - gradient_correlation(*pairs, s.gradient, s.absolute_gradient).mean()
        return terms

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critics lower: real patches score 1, those of the pools 0."""
        real = _by_modality(batch)
        return {
            f"critic_{name}": (critic(real[name]) - 1).square().mean()
            + critic(self.pools[name](fakes[name])).square().mean()
            for name, critic in self.critics.items()
        }

    def _translate(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return each modality made from the images of the other."""
        return {"a": self.generator["a"](images["b"]), "b": self.generator["b"](images["a"])}


def gradient_correlation(image: Tensor, other: Tensor, gradient: Gradient, absolute: bool) -> Tensor:
    """Return GC of images (B, 1, H, W): (B,) in [-1, 1], 1 where their edges are the same but for the contrast.

    The mean of the correlations over pixels of both ∂x and both ∂y. A correlation is 0, and moves nothing, where an
    image does not change in that direction (which the paper leaves open).
    Source: Hiasa et al., "Cross-modality image synthesis from unpaired data using CycleGAN", SASHIMI 2018, eq. 4.
    """
    correlations = []
    for one, two in zip(_gradients(image, gradient), _gradients(other, gradient), strict=True):
        a, b = (part.abs() if absolute else part for part in (one.flatten(1), two.flatten(1)))
        a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
        variances = a.square().mean(dim=1), b.square().mean(dim=1)
        defined = torch.minimum(*variances) > FLAT
        scale = torch.where(defined, variances[0] * variances[1], 1.0).sqrt()
        correlations.append(torch.where(defined, (a * b).mean(dim=1) / scale, 0.0))
    return (correlations[0] + correlations[1]) / 2


def _gradients(image: Tensor, gradient: Gradient) -> tuple[Tensor, Tensor]:
    """Return ∂x and ∂y, (B, 1, H, W) each, with the border's pixels repeated beyond it; in float32 under autocast."""
    wide = F.pad(image, (1, 1, 1, 1), mode="replicate")
    return _slope(wide, gradient), _slope(wide.mT, gradient).mT


def _slope(wide: Tensor, gradient: Gradient) -> Tensor:
    """Return ∂x of images with a border of one pixel."""
    if gradient == "difference":
        return wide[..., 1:-1, 2:] - wide[..., 1:-1, 1:-1]
    change = wide[..., 2:] - wide[..., :-2]
    if gradient == "central":
        return change[..., 1:-1, :]
    return change[..., :-2, :] + 2 * change[..., 1:-1, :] + change[..., 2:, :]


class Generators(nn.ModuleDict):
    """The generators, in the order of the modalities that they translate to."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Translate (B, 1, H, W) in [-1, 1] to the modalities `target` (B,), 0 or 1."""
        return by_modality(self.values(), target, image)


class Generator(nn.Module):
    """Johnson et al., ECCV 2016: two convolutions down, nine residual blocks, two transposed convolutions up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(1, width, 7, padding=3, padding_mode="reflect")),
            *_normalized(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *_normalized(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)),
            *(Residual(4 * width) for _ in range(9)),
            *_normalized(nn.ConvTranspose2d(4 * width, 2 * width, 3, stride=2, padding=1, output_padding=1)),
            *_normalized(nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)),
            nn.Conv2d(width, 1, 7, padding=3, padding_mode="reflect"),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Translate (B, 1, H, W) in [-1, 1]; height and width divisible by 4."""
        return torch.tanh(at_least_float32(self.layers(image)))


class Residual(nn.Module):
    """x + f(x) of two 3×3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        result: Tensor = features + self.layers(features)
        return result


class PatchGAN(nn.Module):
    """Isola et al., CVPR 2017: five 4×4 convolutions, three of stride 2, that score patches of 70×70 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            *_normalized(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), leak=0.2),
            *_normalized(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1), leak=0.2),
            *_normalized(nn.Conv2d(4 * width, 8 * width, 4, padding=1), leak=0.2),
            nn.Conv2d(8 * width, 1, 4, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (B, 1, H/8 − 2, W/8 − 2) of images (B, 1, H, W), float32, higher for real."""
        scores: Tensor = at_least_float32(self.layers(image))
        return scores


def _normalized(convolution: nn.Conv2d | nn.ConvTranspose2d, leak: float = 0.0) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(convolution.out_channels), nn.LeakyReLU(leak, inplace=True)


def _by_modality(batch: Batch) -> dict[str, Tensor]:
    """Return the slices of the first and of the second modality."""
    first, second = batch.image.chunk(2)
    return {"a": first, "b": second}
