"""Network parts that two or more methods share."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.errors import InputError

N = TypeVar("N", bound=nn.Module)


def with_modality(image: Tensor, modality: Tensor, modalities: int) -> Tensor:
    """Append one-hot modality maps: (B, 1, H, W) and (B,) to (B, 1 + modalities, H, W)."""
    maps = F.one_hot(modality, modalities).to(image.dtype)[:, :, None, None]
    return torch.cat([image, maps.expand(-1, -1, *image.shape[2:])], dim=1)


def at_least_float32(values: Tensor) -> Tensor:
    """Return what a network under autocast says, in float32; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def rows_of_each(modality: Tensor, modalities: int) -> list[list[int]]:
    """Return the places in `modality` (B,) of each modality; it may have none."""
    kinds = modality.tolist()
    return [[row for row, kind in enumerate(kinds) if kind == number] for number in range(modalities)]


def by_modality(networks: Iterable[nn.Module], modality: Tensor, *inputs: Tensor) -> Tensor:
    """Return what the network of each slice's `modality` (B,) makes of `inputs`, (B, …), in their order."""
    known = list(networks)
    chosen = rows_of_each(modality, len(known))
    made = [network(*(given[rows] for given in inputs)) for network, rows in zip(known, chosen, strict=True) if rows]
    order = [row for rows in chosen for row in rows]
    return torch.cat(made)[sorted(range(len(order)), key=order.__getitem__)]


def he_initialized(network: N) -> N:
    """Draw the weights of a network's convolutions, not of the transposed ones, as He does, biases 0; return it.

    Normal with variance 2 / fan-in (He et al., ICCV 2015, eq. 10).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def normal_initialized(network: N) -> N:
    """Draw the weights of a network's convolutions from N(0, 0.02²), as CycleGAN does, biases 0; return it."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


class PatchCritic(nn.Module):
    """StarGAN's discriminator (Choi et al., CVPR 2018, table 5): a score per patch and one classification per slice.

    `levels` 4×4 convolutions of stride 2 without normalization, `width` channels and then twice as many each; a 3×3
    head for the score of each patch, 64×64 with six levels; a head as large as the remaining map for the `classes`
    logits, absent where there are none.
    """

    def __init__(
        self, image_size: int, width: int, classes: int, inputs: int = 1, levels: int = 6, first_slope: float = 0.01
    ) -> None:
        """Build the critic of (B, `inputs`, `image_size`, `image_size`) images.

        `first_slope` is the first convolution's, of leaky ReLU below 0; all others' is 0.01.

        Raises:
            InputError: `image_size` is not a multiple of a patch, 2 to the power of `levels`.
        """
        super().__init__()
        patch = 2**levels
        if image_size < patch or image_size % patch:
            raise InputError("image_size", image_size, f"a multiple of {patch} pixels")
        channels = [inputs, *(width * 2**level for level in range(levels))]
        self.body = nn.Sequential()
        for level, (before, after) in enumerate(pairwise(channels)):
            slope = 0.01 if level else first_slope
            self.body += nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(slope))
        self.score = nn.Conv2d(channels[-1], 1, 3, padding=1, bias=False)
        self.kind = nn.Conv2d(channels[-1], classes, image_size // patch, bias=False) if classes else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B, 1, H/patch, W/patch), higher for real, and logits (B, classes), both float32."""
        features = self.body(image)
        score = at_least_float32(self.score(features))
        if self.kind is None:
            return score, score.new_zeros(len(score), 0)
        return score, at_least_float32(self.kind(features).flatten(1))
