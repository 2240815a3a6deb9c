"""Models Genesis (Zhou et al., MICCAI 2019): the encoder of a 3-D U-Net that learned to restore chest CT."""

from itertools import product
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from enrich.features.backbone import Features, in_batches, load_weights
from enrich.translations import Picture

PATCH = (32, 64, 64)  # slices, rows and columns, as in its training


class Convolution(nn.Sequential):
    """Convolution, batch norm and rectifier, under the names of the published file."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.add_module("conv1", nn.Conv3d(channels, width, 3, padding=1))
        self.add_module("bn1", nn.BatchNorm3d(width))
        self.add_module("activation", nn.ReLU())


class Stage(nn.Module):
    """Two convolutions, the second twice as wide as the first."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(Convolution(channels, width), Convolution(width, 2 * width))

    def forward(self, volume: Tensor) -> Tensor:
        """(B, channels, …) to (B, 2·width, …)."""
        features: Tensor = self.ops(volume)
        return features


class Encoder(nn.Module):
    """Four stages of 64, 128, 256 and 512 channels, with a pooling between two."""

    def __init__(self) -> None:
        super().__init__()
        self.down_tr64 = Stage(1, 32)
        self.down_tr128 = Stage(64, 64)
        self.down_tr256 = Stage(128, 128)
        self.down_tr512 = Stage(256, 256)
        self.pool = nn.MaxPool3d(2)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, 1, X, Y, Z) in [0, 1], each side divisible by 8, to the mean over the last stage's voxels, (B, 512)."""
        for stage in (self.down_tr64, self.down_tr128, self.down_tr256):
            volume = self.pool(stage(volume))
        features: Tensor = self.down_tr512(volume).mean(dim=(2, 3, 4))
        return features


class ModelsGenesis:
    """512 features of every patch that shows the body, of 64×64 pixels and 32 slices, side by side.

    Weights: `Genesis_Chest_CT.pt` of the authors' PyTorch release, key `state_dict`; the decoder is not needed. Images
    are given in [0, 1] as in the training, but scaled as everywhere here: CT by the config's window instead of from
    -1000 to 1000 HU, and at the scan's own spacing. The published code normalizes every batch by its own statistics,
    in use as in training; here by those that the training gathered, so that a patch has features of its own. TarGAN's
    figures are of this network, but how its authors applied it is not published.
    """

    def __init__(self, weights: Path) -> None:
        """Load the weights; raises an `InputError` where the file holds others."""
        self.network = load_weights(Encoder(), "Models Genesis", weights, leave_out=("up_tr", "out_tr"))

    def __call__(self, picture: Picture) -> Features:
        """Return the features of every patch, (N, 512); a scan that patches do not fill is padded by background."""
        shape = picture.images.shape
        margin = [(0, -side % edge) for side, edge in zip(shape, PATCH, strict=True)]
        images = np.pad((picture.images + 1) / 2, margin).astype(np.float32)
        body = np.pad(picture.body, margin)
        corners = product(*(range(0, side, edge) for side, edge in zip(shape, PATCH, strict=True)))
        boxes = [tuple(slice(at, at + edge) for at, edge in zip(corner, PATCH, strict=True)) for corner in corners]
        patches = np.stack([images[box].transpose(1, 2, 0) for box in boxes if body[box].any()])
        return in_batches(self.network, patches[:, None])
