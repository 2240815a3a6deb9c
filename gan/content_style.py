"""Networks that tell content from style: ReMIC's, which are MUNIT's but for one content encoder and G_s."""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.layers import at_least_float32, by_modality

STYLE = 8  # numbers of a style code
RESIDUALS = 4  # blocks of the content encoder, of a decoder and of G_s
SCALES = 3  # of a critic: the image, its half and its quarter
STRIDE = 64  # of a critic at its coarsest scale


class Generator(nn.Module):
    """The encoders, the decoders and G_s."""

    def __init__(self, modalities: int, width: int) -> None:
        super().__init__()
        self.modalities = modalities
        self.content_encoder = nn.Sequential(
            *_normalized(modalities, width, 7),
            *_normalized(width, 2 * width, 4, stride=2),
            *_normalized(2 * width, 4 * width, 4, stride=2),
            *(Residual(4 * width) for _ in range(RESIDUALS)),
        )
        self.style_encoders = nn.ModuleList(_style_encoder(width) for _ in range(modalities))
        self.decoders = nn.ModuleList(Decoder(width) for _ in range(modalities))
        self.segmenter = nn.Sequential(*(Residual(4 * width) for _ in range(RESIDUALS)), *_growing(width))
        self.apply(_initialize)

    def content(self, image: Tensor, modality: Tensor) -> Tensor:
        """Return the content codes, (B, 4·width, H/4, W/4), of slices (B, 1, H, W) of `modality` (B,)."""
        given = F.one_hot(modality, self.modalities).to(image.dtype)[:, :, None, None]
        code: Tensor = at_least_float32(self.content_encoder(given * image))
        return code

    def style(self, image: Tensor, modality: Tensor) -> Tensor:
        """Return the style codes, (B, 8), of slices (B, 1, H, W) of `modality` (B,)."""
        return at_least_float32(by_modality(self.style_encoders, modality, image))

    def decode(self, content: Tensor, style: Tensor, modality: Tensor) -> Tensor:
        """Return slices of `modality` (B,), (B, 1, H, W) in [-1, 1], of content and style codes."""
        return torch.tanh(at_least_float32(by_modality(self.decoders, modality, content, style)))

    def target_logits(self, content: Tensor) -> Tensor:
        """Return the logits of the target, (B, 1, H, W), of content codes."""
        logits: Tensor = at_least_float32(self.segmenter(content))
        return logits


class Decoder(nn.Module):
    """Residual blocks whose norms the style sets, then two steps to the full resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = 4 * width
        self.norms = nn.Sequential(
            nn.Linear(STYLE, channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, RESIDUALS * 4 * channels),
        )
        self.residuals = nn.ModuleList(Residual(channels) for _ in range(RESIDUALS))
        self.growing = nn.Sequential(*_growing(width))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Map content (B, 4·width, H/4, W/4) and style (B, 8) to (B, 1, H, W), unbounded."""
        for residual, norms in zip(self.residuals, self.norms(style).chunk(RESIDUALS, dim=1), strict=True):
            content = residual(content, norms)
        image: Tensor = self.growing(content)
        return image


class Residual(nn.Module):
    """x + f(x) of two 3×3 convolutions, each followed by an instance norm, plain or adaptive."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (_convolution(channels, channels, 3, bias=False) for _ in range(2))

    def forward(self, features: Tensor, norms: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape; `norms` (B, 4·C): shift and scale of the first norm, of the second."""
        shift, scale, shift_again, scale_again = [None] * 4 if norms is None else norms.chunk(4, dim=1)
        change = F.relu(adaptive_norm(self.first(features), shift, scale))
        return features + adaptive_norm(self.second(change), shift_again, scale_again)


def adaptive_norm(features: Tensor, shift: Tensor | None, scale: Tensor | None) -> Tensor:
    """Return the instance norm of (B, C, H, W), with `shift` and `scale` (B, C) of each channel if they are given.

    Source: Huang and Belongie, "Arbitrary style transfer in real-time with adaptive instance normalization", ICCV 2017,
    eq. 8.
    """
    normalized = F.instance_norm(features)
    if shift is None or scale is None:
        return normalized
    return scale[..., None, None] * normalized + shift[..., None, None]


class Critic(nn.Module):
    """One network without norm for each scale, from `width` to 8·`width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for _ in range(SCALES):
            layers = nn.Sequential()
            for before, after in pairwise([1, *(width * 2**level for level in range(4))]):
                layers += nn.Sequential(_convolution(before, after, 4, stride=2), nn.LeakyReLU(0.2, inplace=True))
            self.scales.append(layers.append(nn.Conv2d(8 * width, 1, 1)))
        self.apply(partial(_initialize, deviation=0.02))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the scores (B, 1, H/n, W/n) of slices (B, 1, H, W), n being 16, 32 and 64."""
        scores = []
        for scale in self.scales:
            scores.append(at_least_float32(scale(image)))
            image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
        return scores


def _style_encoder(width: int) -> nn.Sequential:
    """Map (B, 1, H, W) to style codes; without norm, which would take away what style is."""
    layers = nn.Sequential(_convolution(1, width, 7), nn.ReLU(inplace=True))
    for before, after in pairwise([width, 2 * width, *[4 * width] * 3]):
        layers += nn.Sequential(_convolution(before, after, 4, stride=2), nn.ReLU(inplace=True))
    return layers + nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4 * width, STYLE, 1), nn.Flatten())


def _growing(width: int) -> list[nn.Module]:
    """Map (B, 4·width, H/4, W/4) to (B, 1, H, W)."""
    layers: list[nn.Module] = []
    for before, after in pairwise([4 * width, 2 * width, width]):
        grown = [nn.Upsample(scale_factor=2), _convolution(before, after, 5)]
        layers += [*grown, nn.GroupNorm(1, after), nn.ReLU(inplace=True)]
    return [*layers, _convolution(width, 1, 7)]


def _normalized(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = _convolution(before, after, kernel, stride, bias=False)
    return [convolution, nn.InstanceNorm2d(after), nn.ReLU(inplace=True)]


def _convolution(before: int, after: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    padding = (kernel - 1) // 2
    return nn.Conv2d(before, after, kernel, stride, padding, bias=bias, padding_mode="reflect")


def _initialize(module: nn.Module, deviation: float | None = None) -> None:
    """Set biases to 0 and draw weights from a normal, of this standard deviation or of Kaiming's, if it is None."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        if deviation is None:
            nn.init.kaiming_normal_(module.weight)
        else:
            nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
