"""The segmenter of SegAN's public code, and the parts of which its other networks are made too.

Its decoder sees far by large kernels (Peng et al., CVPR 2017): a k×k convolution as the sum of k×1 then 1×k and of 1×k
then k×1.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.layers import at_least_float32


class LargeKernelSegmenter(nn.Module):
    """Seven convolutions of stride 2 (kernels 7, 5, 5, 5, 5, 4, 3) and back up by resizing, with residual blocks.

    Going up: two 3×3 convolutions, then large kernels (7, 7, 9, 9, 11), each after the concatenation with the features
    of the same resolution; a 5×5 convolution. With `width` w the encoder has w, 2w, 4w, 8w, 8w, 16w, 32w channels.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        w = width
        widths, kernels = [w, 2 * w, 4 * w, 8 * w, 8 * w, 16 * w, 32 * w], [7, 5, 5, 5, 5, 4, 3]
        self.down = nn.ModuleList()
        for level, ((before, after), kernel) in enumerate(zip(pairwise([channels, *widths]), kernels, strict=True)):
            layers = halving(before, after, kernel, norm=level > 0)
            if level < 5:
                layers.append(bottleneck(after, nn.LeakyReLU(0.2, inplace=True)))
            if level == 5:
                layers.append(
                    Residual(nn.Conv2d(after, after, 1, bias=False), *_finish(after, nn.LeakyReLU(0.2, inplace=True)))
                )
            self.down.append(layers)
        self.bottom = nn.Sequential(
            nn.Conv2d(32 * w, 8 * w, 1, bias=False),
            *_finish(8 * w, nn.LeakyReLU(0.2, inplace=True)),
            nn.Conv2d(8 * w, 32 * w, 1, bias=False),
            *_finish(32 * w, nn.ReLU(inplace=True)),
        )
        self.up = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(64 * w, 16 * w, 3, padding=1, bias=False),
                    *_finish(16 * w, nn.ReLU(inplace=True)),
                    Residual(nn.Conv2d(16 * w, 16 * w, 1, bias=False), *_finish(16 * w, nn.ReLU(inplace=True))),
                ),
                _growing(nn.Conv2d(32 * w, 8 * w, 3, padding=1, bias=False), 8 * w),
            ]
        )
        for before, after, kernel in [(16, 8, 7), (16, 4, 7), (8, 2, 9), (4, 1, 9), (2, 1, 11)]:
            self.up.append(_growing(LargeKernel(before * w, after * w, kernel), after * w))
        self.out = nn.Conv2d(w, 1, 5, padding=2, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, channels, H, W) in [-1, 1] to the target's probability; height and width divisible by 64.

        At 64 pixels the sixth convolution leaves one pixel, of which the seventh makes one.
        """
        features, skips = image, []
        for block in self.down:
            features = block(features)
            skips.append(features)
        features = self.bottom(features)
        for block, skip, larger in zip(self.up, reversed(skips), [*skips[-2::-1], image], strict=True):
            features = block(resize(torch.cat([skip, features], dim=1), larger))
        return torch.sigmoid(at_least_float32(self.out(features)))


class LargeKernel(nn.Module):
    """A k×k convolution as the sum of k×1 then 1×k and of 1×k then k×1."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        tall, wide = (kernel, 1), (1, kernel)
        self.ways = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, first, padding="same"),
                nn.Conv2d(after, after, second, padding="same", bias=False),  # the norm that follows would cancel it
            )
            for first, second in ((tall, wide), (wide, tall))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, before, H, W) to (B, after, H, W)."""
        one, other = (way(features) for way in self.ways)
        result: Tensor = one + other
        return result


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        result: Tensor = features + self.layers(features)
        return result


def bottleneck(channels: int, activation: nn.Module) -> Residual:
    """Return a residual block of a 1×1, a 3×3 and a 1×1 convolution, twice as wide inside.

    It has no norm: the public code defines some and never applies them.
    """
    wide = 2 * channels
    return Residual(
        nn.Conv2d(channels, wide, 1, bias=False),
        activation,
        nn.Conv2d(wide, wide, 3, padding=1, bias=False),
        activation,
        nn.Conv2d(wide, channels, 1, bias=False),
        activation,
    )


def halving(before: int, after: int, kernel: int, norm: bool = True) -> nn.Sequential:
    """Return a convolution that halves height and width, with batch norm or without; leaky ReLU 0.2."""
    convolution = nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 1) // 2, bias=False)
    return nn.Sequential(convolution, *([nn.BatchNorm2d(after)] if norm else []), nn.LeakyReLU(0.2, inplace=True))


def resize(features: Tensor, like: Tensor) -> Tensor:
    """Return `features` bilinearly resized to height and width of `like`."""
    return F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)


def initialize(module: nn.Module) -> None:
    """Draw a convolution's weights from a normal of variance 2 / fan-out, a norm's from N(1, 0.02²); biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _growing(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(
        convolution, *_finish(channels, nn.ReLU(inplace=True)), bottleneck(channels, nn.ReLU(inplace=True))
    )


def _finish(channels: int, activation: nn.Module) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), activation
