"""CSGAN (Zhang, Yang and Zheng, CVPR 2018): two modalities, whole volumes, cycle and shape consistency, no pairs.

A generator, a critic and a segmentor for each modality. Least-squares GAN + 10 · cycle (eq. 1) + 1 · shape (eq. 2
and 3): the segmentor of the wanted modality, held fixed, is to find in a synthetic volume the target of the volume that
it was made from. The segmentors learn on real, synthetic and reconstructed volumes (section 3.5). In each round the
generators step first; then critics and segmentors, which are independent of each other, on what the stepped generators
make anew (section 3.6). `dimensions: 2` is the same on slices. `weights: {shape: 0}` leaves out shape consistency:
translation without labels, as in table 1 and for the baseline ADA of table 2.

Phases (section 4.2), as shares of a training of 100 + 50 + 50 epochs, each through the data of the modality with more:
1. `pretraining`, half of it: the segmentors learn on real volumes alone; generators and critics begin when 40 % of this
   phase are over, 60 epochs before its end, without shape consistency;
2. half of what is left: all play together;
3. the rest: so they go on, while all learning rates fall linearly to 0.
A term that rests weighs 0, and is computed and logged all the same. With `pretraining: 1` the networks stay apart.

Early stopping: the paper stops when the segmentation loss has not fallen for about 5 epochs. Here `patience` counts
checks on the watched patients, one every `samples_every` rounds after phase 1; off by default.

The authors published no code. Where the paper is silent we follow CycleGAN, as the paper says it does, or choose:
- as CycleGAN: a batch is one volume of each modality, the critics' loss is halved, the instance norm has no parameters,
  weights begin at N(0, 0.02²); those of segmentors at He's, as the U-Net paper has them;
- no pool of older fakes: the critics see what the generators make as they are;
- `width`: 16 channels at full resolution in all networks, twice as many at each of three levels;
- convolutions of stride 2 beside the two of a level, skips concatenated, zero padding, 1³ output convolutions;
- critics: three 4³ convolutions of stride 2 (LeakyReLU 0.2, instance norm but in the first) and a 3³ one to scores of
  patches of 38³ voxels; few volumes are as deep as CycleGAN's 70;
- `patch`: cubes smaller than the volumes, where memory is short. The paper trains on whole volumes, and what is trained
  translates and segments whole volumes in any case.

A round in float32 needs about 200 bytes · `width` · voxels of the batch, for the generators' step: at 16 channels
1.8 GiB for two volumes of 32×96×96 (measured on a CPU: 1.9), 6.6 GiB for two of the paper's, padded to 88×112×112.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.batch import Batch, Draw, Slices
from gan.errors import InputError
from gan.layers import at_least_float32, by_modality, he_initialized, normal_initialized
from gan.method import Method, Published
from gan.player import Player
from gan.schedules import decay_in_second_half
from gan.scope import Scope
from gan.settings import Settings
from gan.volumes import MULTIPLE, Volumes

WEIGHTS = {
    "adversarial": 1.0,
    "cycle": 10.0,
    "shape": 1.0,
    "critic": 0.5,
    "segmentation_real": 1.0,
    "segmentation_synthetic": 1.0,
    "segmentation_reconstructed": 1.0,
}
SHAPED = ("shape",)  # what the generators learn from segmentors
TAUGHT = ("segmentation_synthetic", "segmentation_reconstructed")  # what the segmentors learn from generators
ALONE = 0.4  # of the pre-training, before generators and critics begin
LEVELS = 3
CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


@dataclass(frozen=True, kw_only=True)
class CSGANSettings(Settings):
    """What CSGAN can be told; the defaults are the paper's."""

    width: int = 16
    batch_size: int = 2
    epochs: int | None = 200
    weights: dict[str, float] = field(default_factory=WEIGHTS.copy)
    learning_rate: float = 2e-4  # of generators and critics
    segmentor_learning_rate: float = 2e-4
    dimensions: int = 3
    patch: int | None = None  # edge of a cube in voxels; None: whole volumes
    pretraining: float = 0.5  # share of the training before the two games meet

    @property
    def reads_target(self) -> bool:
        """Whether a term reads the target."""
        return any(self.weights[term] for term in (*SHAPED, "segmentation_real", *TAUGHT))


class CSGAN(Method):
    """Generators, critics and segmentors by modality."""

    title = "CSGAN"
    citation = (
        "Zhang, Yang, Zheng. Translating and segmenting multimodal medical volumes with cycle- and shape-consistency "
        "generative adversarial network. CVPR 2018"
    )
    labels_used = "all modalities"
    differences = "nothing, since no code of the authors is public"
    scope = Scope.PAIR
    draw = Draw.BALANCED
    segments = True
    published = Published(modalities=2, image_size=112)
    settings: CSGANSettings
    paper: ClassVar[Settings] = CSGANSettings()
    official: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, modalities: int, image_size: int, settings: CSGANSettings) -> None:
        super().__init__(modalities, image_size, settings)
        _check(settings, image_size)
        self.dimensions = settings.dimensions
        self.watch_from = settings.pretraining
        size = (settings.dimensions, settings.width)
        self.generators = nn.ModuleList(normal_initialized(Generator(*size)) for _ in range(2))
        self.critics = nn.ModuleList(normal_initialized(Critic(*size)) for _ in range(2))
        self.segmentors = nn.ModuleList(he_initialized(Segmentor(*size)) for _ in range(2))

    @property
    def model(self) -> nn.Module:
        """Generators and segmentors."""
        return nn.ModuleDict({"generators": self.generators, "segmentors": self.segmentors})

    def view(self, slices: Slices) -> Slices:
        """Return the scans as volumes, in two dimensions the slices as they are."""
        return Volumes(slices, self.settings.patch) if self.dimensions == 3 else slices

    def players(self) -> list[Player]:
        """Return the generators, then the critics and the segmentors, who see what the stepped generators make."""
        s = self.settings
        adam, adam_segmentors = (s.learning_rate, (0.5, 0.999)), (s.segmentor_learning_rate, (0.9, 0.999))
        late = partial(_rate, begin=ALONE * s.pretraining, together=s.pretraining)
        early = partial(_rate, begin=0.0, together=s.pretraining)
        together = partial(_from, begin=s.pretraining)
        shaped, taught = (dict.fromkeys(terms, together) for terms in (SHAPED, TAUGHT))
        critics = ("critics", self.critics, self.critic_terms, s.weights)
        segmentors = ("segmentors", self.segmentors, self.segmentor_terms, s.weights)
        return [
            Player("generators", self.generators, self.generator_terms, s.weights, *adam, schedule=late, ramps=shaped),
            Player(*critics, *adam, schedule=late, detached=True, anew=True),
            Player(*segmentors, *adam_segmentors, schedule=early, ramps=taught, detached=True),
        ]

    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return the batch, half of each modality, in the other one, and from there back in its own."""
        synthetic = _each(self.generators[::-1], batch.image)
        return {"synthetic": synthetic, "reconstructed": _each(self.generators, synthetic)}

    def generator_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the generators lower, each a sum over both directions of means over voxels or patches."""
        score = _each(self.critics[::-1], fakes["synthetic"])
        found = _each(self.segmentors[::-1], fakes["synthetic"])
        return {
            "adversarial": _both((score - 1).square()),
            "cycle": _both((fakes["reconstructed"] - batch.image).abs()),
            "shape": _both(_cross_entropy(found, batch.target_mask)),
        }

    def critic_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the critics lower: real patches score 1, synthetic ones 0."""
        real, fake = _each(self.critics, batch.image), _each(self.critics[::-1], fakes["synthetic"])
        return {"critic": _both((real - 1).square()) + _both(fake.square())}

    def segmentor_terms(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the segmentors lower on volumes of their own modality, whatever these were made from."""
        found = {
            "real": _each(self.segmentors, batch.image),
            "synthetic": _each(self.segmentors[::-1], fakes["synthetic"]),
            "reconstructed": _each(self.segmentors, fakes["reconstructed"]),
        }
        return {
            f"segmentation_{kind}": _both(_cross_entropy(logits, batch.target_mask)) for kind, logits in found.items()
        }

    def translate(self, model: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return images (B, 1, …), of any modalities, in the modalities `target` (B,)."""
        return by_modality(model.get_submodule("generators").children(), target, image)

    def segment(self, model: nn.Module, image: Tensor, source: Tensor) -> Tensor:
        """Return the probability of the target in images (B, 1, …) of modalities `source` (B,)."""
        return by_modality(model.get_submodule("segmentors").children(), source, image).softmax(dim=1)[:, 1:]


def _check(settings: CSGANSettings, image_size: int) -> None:
    if settings.dimensions not in (2, 3):
        raise InputError("csgan: dimensions", settings.dimensions, "2 or 3")
    if image_size % MULTIPLE:
        raise InputError("image_size", image_size, f"a multiple of {MULTIPLE} pixels")
    if (patch := settings.patch) is not None:
        if settings.dimensions == 2:
            raise InputError("csgan: patch", patch, "none in two dimensions")
        if patch % MULTIPLE or not 2 * MULTIPLE <= patch <= image_size:
            expected = f"a multiple of {MULTIPLE} from {2 * MULTIPLE} to the image_size {image_size}"
            raise InputError("csgan: patch", patch, expected)
    if settings.pretraining > 1:
        raise InputError("csgan: pretraining", settings.pretraining, "at most 1")


def _from(progress: float, begin: float) -> float:
    """Return 0 before `begin`, 1 from there on."""
    return float(progress >= begin)


def _rate(progress: float, begin: float, together: float) -> float:
    """Return 0 before `begin`, then 1, and from the middle between `together` and the end on fall linearly to 0."""
    falling = decay_in_second_half((progress - together) / (1 - together)) if together < 1 else 1.0
    return _from(progress, begin) * falling


def _each(networks: Iterable[nn.Module], images: Tensor) -> Tensor:
    """Apply one network to the first half of a batch, the other to the second."""
    return torch.cat([network(half) for network, half in zip(networks, images.chunk(2), strict=True)])


def _both(values: Tensor) -> Tensor:
    """Return the sum of the means over the two halves of a batch."""
    return 2 * values.mean()


def _cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return −log of the probability of each voxel's class, (B, …), for logits (B, 2, …) and mask (B, 1, …)."""
    return F.cross_entropy(logits, mask[:, 0].long(), reduction="none")


class UNet(nn.Module):
    """Blocks on the way down, and on the way up others that read what is below, enlarged, and the skip beside it."""

    def __init__(self, down: Iterable[nn.Module], enlarge: Iterable[nn.Module], up: Iterable[nn.Module]) -> None:
        super().__init__()
        self.down, self.enlarge, self.up = (nn.ModuleList(part) for part in (down, enlarge, up))

    def forward(self, features: Tensor) -> Tensor:
        """Return features at full resolution."""
        skips = []
        for block in self.down:
            features = block(features)
            skips.append(features)
        for enlarge, block, skip in zip(self.enlarge, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat([skip, enlarge(features)], dim=1))
        return features


class Generator(nn.Module):
    """U-Net of four levels, the lower three reached by convolutions of stride 2."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(LEVELS + 1)]
        block = partial(_normalized, dimensions)
        down = [nn.Sequential(*block(1, width), *block(width, width))]
        down += [nn.Sequential(*block(a, b, stride=2), *block(b, b), *block(b, b)) for a, b in pairwise(channels)]
        enlarge = [nn.Sequential(nn.Upsample(scale_factor=2), *block(2 * c, c)) for c in channels[-2::-1]]
        up = [nn.Sequential(*block(2 * c, c), *block(c, c)) for c in channels[-2::-1]]
        self.layers = nn.Sequential(UNet(down, enlarge, up), CONVOLUTION[dimensions](width, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 1, …) in [-1, 1] to the same; edges divisible by 8."""
        return torch.tanh(at_least_float32(self.layers(image)))


class Segmentor(nn.Module):
    """U-Net of four levels without normalization, the lower three reached by max-pooling."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(LEVELS + 1)]
        pair = partial(_plain_pair, dimensions)
        down = [pair(1, width), *(nn.Sequential(POOL[dimensions](2), pair(a, b)) for a, b in pairwise(channels))]
        enlarge = [nn.Upsample(scale_factor=2) for _ in range(LEVELS)]
        up = [pair(3 * c, c) for c in channels[-2::-1]]
        self.layers = nn.Sequential(UNet(down, enlarge, up), CONVOLUTION[dimensions](width, 2, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 1, …) in [-1, 1] to logits of background and target, (B, 2, …); edges divisible by 8."""
        logits: Tensor = at_least_float32(self.layers(image))
        return logits


class Critic(nn.Module):
    """PatchGAN: three convolutions of stride 2 and one to the scores."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        convolution, norm = CONVOLUTION[dimensions], NORM[dimensions]
        self.layers = nn.Sequential(convolution(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True))
        for channels in (2 * width, 4 * width):
            self.layers += nn.Sequential(
                convolution(channels // 2, channels, 4, stride=2, padding=1, bias=False),
                norm(channels),
                nn.LeakyReLU(0.2, inplace=True),
            )
        self.layers.append(convolution(4 * width, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 1, …) in [-1, 1] to a score for each patch of 38 voxels, (B, 1, …/8); edges divisible by 8."""
        score: Tensor = at_least_float32(self.layers(image))
        return score


def _normalized(dimensions: int, before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = CONVOLUTION[dimensions](before, after, 3, stride=stride, padding=1, bias=False)
    return convolution, NORM[dimensions](after), nn.ReLU(inplace=True)


def _plain_pair(dimensions: int, before: int, after: int) -> nn.Module:
    first, second = (CONVOLUTION[dimensions](channels, after, 3, padding=1) for channels in (before, after))
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
