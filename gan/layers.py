"""Network parts that two or more methods share."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.errors import InputError


def with_modality(image: Tensor, modality: Tensor, modalities: int) -> Tensor:
    """Append one-hot modality maps: (B, 1, H, W) and (B,) to (B, 1 + modalities, H, W)."""
    maps = F.one_hot(modality, modalities).to(image.dtype)[:, :, None, None]
    return torch.cat([image, maps.expand(-1, -1, *image.shape[2:])], dim=1)


class PatchCritic(nn.Module):
    """StarGAN's discriminator (Choi et al., CVPR 2018, table 5): a score per patch and one classification per slice.

    Six 4×4 convolutions of stride 2 without normalization, `width` to 32·`width` channels; a 3×3 head for the score of
    each 64×64 patch; a head as large as the remaining map for the `classes` logits.
    """

    STRIDE = 64

    def __init__(self, image_size: int, width: int, classes: int) -> None:
        """Build the critic of (B, 1, `image_size`, `image_size`) images.

        Raises:
            InputError: `image_size` is not a multiple of 64.
        """
        super().__init__()
        if image_size < self.STRIDE or image_size % self.STRIDE:
            raise InputError("image_size", image_size, f"a multiple of {self.STRIDE} pixels")
        channels = [1, *(width * 2**level for level in range(6))]
        self.body = nn.Sequential()
        for before, after in pairwise(channels):
            self.body += nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01))
        self.score = nn.Conv2d(channels[-1], 1, 3, padding=1, bias=False)
        self.kind = nn.Conv2d(channels[-1], classes, image_size // self.STRIDE, bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B, 1, H/64, W/64), higher for real, and logits (B, classes), both float32."""
        features = self.body(image)
        return self.score(features).float(), self.kind(features).flatten(1).float()
