"""SegAN's terms against NumPy, from the networks' outputs on; its networks against their definition."""

import copy
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.errors import InputError
from gan.large_kernels import LargeKernel, LargeKernelSegmenter, Residual, bottleneck
from gan.methods.segan import SegAN, Segmenter, dice_loss
from gan.settings import resolve
from gan.trainer import Trainer
from tests.gan.tiny import batch_for

both = pytest.mark.parametrize("preset", ["paper", "official"])


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def segan(channels: int = 3, size: int = 64, **entry) -> SegAN:
    torch.manual_seed(5)
    return SegAN(channels, size, resolve(SegAN.paper, SegAN.official, {"width": 8, **entry}, "segan"))


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def slopes(network: nn.Module) -> set[float]:
    return {layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)}


def test_parameter_counts():
    """Of a 4×4 convolution a·b·16, of a 3×3 one a·b·9, of a norm two a channel.

    The public S has 156,265,344, of which 30,080 are norms that it never applies and 2,048 biases that a norm takes
    away again; the public C applies 9,393,088.
    """
    w = 64
    encoder = 16 * w * (3 + 2 * w + 8 * w + 32 * w) + 2 * (2 * w + 4 * w + 8 * w)
    decoder = 9 * w * (32 * w + 16 * w + 4 * w + 2) + 2 * (4 * w + 2 * w + w)
    critic = 16 * w * (3 + 2 * w + 8 * w) + 2 * (2 * w + 4 * w)
    with torch.device("meta"):
        for preset, expected in (
            ("paper", (critic, encoder + decoder)),
            ("official", (9_393_088, 156_265_344 - 30_080 - 2_048)),
        ):
            method = segan(preset=preset, width=w)
            assert tuple(parameters(player.network) for player in method.players()) == expected


@both
def test_every_term_by_hand(preset):
    method = segan(preset=preset)
    batch = batch_for(method)
    critic, segmenter = method.players()
    fakes = method.fakes(batch)
    found = {name: term.item() for player in (critic, segmenter) for name, term in player.terms(batch, fakes).items()}
    with torch.no_grad():
        mask = method.generator(batch.image)
        seen, wanted = (
            [features.numpy().astype(float) for features in method.critic(batch.image * area)]
            for area in (mask, batch.target_mask)
        )
    image, p, y = batch.image.numpy(), mask.numpy().astype(float), batch.target_mask.numpy()
    for channel in range(3):
        np.testing.assert_allclose(seen[0][:, channel], image[:, channel] * p[:, 0], rtol=1e-6)
        np.testing.assert_array_equal(wanted[0][:, channel], image[:, channel] * y[:, 0])
    if preset == "paper":
        layers = [np.abs(a - b).mean() for a, b in zip(seen[1:], wanted[1:], strict=True)]
        assert len(layers) == 3
        distance = sum(layers) / 3
    else:
        scaled = [
            scale * np.abs(a - b).ravel() for scale, a, b in zip((1, 1, 2, 2, 2, 2, 4), seen, wanted, strict=True)
        ]
        distance = np.concatenate(scaled).mean()
    overlaps = [2 * (p[n] * y[n]).sum() / ((p[n] ** 2).sum() + (y[n] ** 2).sum()) for n in range(4)]
    assert found == pytest.approx({"critic": -distance, "features": distance, "dice": 1 - np.mean(overlaps)}, rel=1e-4)


def test_a_slice_without_target_counts_one_and_teaches_nothing():
    probability = torch.full((2, 1, 4, 4), 0.5, requires_grad=True)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2] = 1
    loss = dice_loss(probability, mask)
    assert loss.item() == pytest.approx((1 - 2 * 4 / (4 + 8) + 1) / 2)  # Σpy = 4, Σp² = 4, Σy² = 8
    (gradient,) = torch.autograd.grad(loss, probability)
    assert gradient[0].all()
    assert not gradient[1].any()
    assert dice_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)) == 1


def defined(network: Segmenter, image: Tensor) -> Tensor:
    """Return S(x) of fig. 2 as it is defined, from the weights alone, in the order of the layers."""

    def normalized(features: Tensor, layer: nn.Module) -> Tensor:
        return F.batch_norm(features, None, None, layer.weight, layer.bias, training=True)

    def larger(features: Tensor) -> Tensor:
        return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)

    def up(features: Tensor, layers: nn.Sequential) -> Tensor:
        return F.relu(normalized(F.conv2d(larger(features), layers[0].weight, padding=1), layers[1]))

    encoded = [F.leaky_relu(F.conv2d(image, network.down[0][0].weight, stride=2, padding=1), 0.2)]
    for layers in network.down[1:]:
        features = F.conv2d(encoded[-1], layers[0].weight, stride=2, padding=1)
        encoded.append(F.leaky_relu(normalized(features, layers[1]), 0.2))
    features = up(encoded[3], network.bottom)
    features = up(torch.cat([encoded[2], features], dim=1), network.up[0])
    features = up(torch.cat([encoded[1], features], dim=1), network.up[1])
    features = larger(torch.cat([encoded[0], features], dim=1))
    return torch.sigmoid(F.conv2d(features, network.out.weight, padding=1))


def test_the_papers_segmenter_is_as_defined():
    method = segan(size=80)
    network = method.generator
    image = batch_for(method, 80).image
    with torch.no_grad():
        torch.testing.assert_close(network(image), defined(network, image), rtol=1e-4, atol=1e-6)
    assert [(c.in_channels, c.out_channels) for c in convolutions(network)] == [
        *[(3, 8), (8, 16), (16, 32), (32, 64)],
        *[(64, 32), (64, 16), (32, 8), (16, 1)],
    ]


@both
def test_the_critics_layers(preset):
    critic = segan(preset=preset).critic
    kernels = {"paper": [4, 4, 4], "official": [7, 5, 4, 4, 4, 3]}[preset]
    widths = [8, 16, 32, 64, 64, 64][: len(kernels)]
    layers = convolutions(critic)
    assert [layer.kernel_size for layer in layers] == [(kernel, kernel) for kernel in kernels]
    assert [layer.out_channels for layer in layers] == widths
    assert {layer.stride for layer in layers} == {(2, 2)}
    assert {layer.bias for layer in layers} == {None}
    assert norms(critic) == len(kernels) - 1
    assert [type(part) for part in critic.layers[0]] == [nn.Conv2d, nn.LeakyReLU]
    assert slopes(critic) == {0.2}
    assert not any(isinstance(part, Residual) for part in critic.modules())
    features = critic(torch.zeros(2, 3, 128, 128))
    sizes = [128 // 2**level for level in range(len(kernels) + 1)]
    assert [each.shape[1:] for each in features] == [
        (channels, size, size) for channels, size in zip([3, *widths], sizes, strict=True)
    ]


def test_the_official_segmenters_layers():
    network = LargeKernelSegmenter(3, 8)
    going_down = [block[0] for block in network.down]
    assert [layer.kernel_size[0] for layer in going_down] == [7, 5, 5, 5, 5, 4, 3]
    assert [layer.out_channels for layer in going_down] == [8, 16, 32, 64, 64, 128, 256]
    assert {layer.stride for layer in going_down} == {(2, 2)}
    assert isinstance(network.down[0][1], nn.LeakyReLU)  # no norm after the first
    assert slopes(network.down) == {0.2}
    assert not any(isinstance(layer, nn.ReLU) for layer in network.down.modules())
    assert slopes(network.up) == set()
    going_up = [block[0] for block in network.up]
    assert [layer.kernel_size for layer in going_up[:2]] == [(3, 3), (3, 3)]
    assert [layer.ways[0][0].kernel_size[0] for layer in going_up[2:]] == [7, 7, 9, 9, 11]
    assert [block[1].num_features for block in network.up] == [128, 64, 64, 32, 16, 8, 8]
    assert network.out.kernel_size == (5, 5)
    blocks = [part for part in network.modules() if isinstance(part, Residual)]
    assert [norms(block) for block in blocks] == [0] * 5 + [1] * 2 + [0] * 6  # in the coarse ones alone
    assert [c.kernel_size[0] for c in convolutions(blocks[0])] == [1, 3, 1]
    assert [c.out_channels for c in convolutions(blocks[0])] == [16, 16, 8]


def test_a_large_kernel_is_a_sum_of_two_products():
    layer = LargeKernel(1, 1, 5)
    (tall, wide), (wide_first, tall_after) = layer.ways
    for convolution in (tall, wide_first):
        nn.init.zeros_(convolution.bias)
    kernel = tall.weight @ wide.weight + tall_after.weight @ wide_first.weight
    assert kernel.shape == (1, 1, 5, 5)
    image = torch.rand(2, 1, 9, 9)
    torch.testing.assert_close(layer(image), F.conv2d(image, kernel, padding=2))


def test_a_residual_block_adds_what_its_layers_make():
    block, image = bottleneck(4, nn.ReLU()), torch.randn(2, 4, 5, 5)
    features = image
    for convolution, padding in zip(convolutions(block), (0, 1, 0), strict=True):
        features = F.relu(F.conv2d(features, convolution.weight, padding=padding))
    torch.testing.assert_close(block(image), image + features)


@pytest.mark.parametrize("size", [64, 128, 192])
def test_the_official_segmenter_takes_64_pixels(size):
    method = segan(size=size, preset="official")
    assert method.generator(batch_for(method, size).image).shape == (4, 1, size, size)


@pytest.mark.parametrize(("preset", "size", "least"), [("official", 96, 64), ("official", 32, 64), ("paper", 72, 16)])
def test_sizes_that_do_not_fit(preset, size, least):
    with pytest.raises(InputError, match=f"image_size: found {size}, expected a multiple of {least} pixels"):
        segan(size=size, preset=preset)


@both
@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels(preset, channels):
    method = segan(channels, preset=preset)
    batch = batch_for(method)
    assert batch.image.shape[1] == channels
    trainer = Trainer(method, method.settings, rounds=10)
    trainer.step(batch)
    assert trainer.segment(batch.image, batch.source).shape == (4, 1, 64, 64)


@both
def test_the_critic_alone_is_kept_within_its_bounds(preset):
    method = segan(preset=preset)

    def largest(network: nn.Module) -> float:
        return max(parameter.abs().max().item() for parameter in network.parameters())

    assert largest(method.critic) > 0.5
    Trainer(method, method.settings, rounds=10).step(batch_for(method))
    assert largest(method.critic) == pytest.approx(0.05)
    assert largest(method.generator) > 0.5


def test_the_segmenter_is_judged_by_the_critic_after_its_step():
    method = segan()
    batch = batch_for(method)
    alone = copy.deepcopy(method)
    trainer = Trainer(alone, alone.settings, rounds=10)
    trainer.players, trainer.optimizers = trainer.players[:1], trainer.optimizers[:1]
    before = -trainer.step(batch)["critic"]["critic"]
    with torch.no_grad():
        after = alone.segmenter_terms(batch, alone.fakes(batch))["features"]
    played = Trainer(method, method.settings, rounds=10).step(batch)
    assert list(played) == ["critic", "segmenter"]
    torch.testing.assert_close(played["segmenter"]["features"], after)
    assert not torch.isclose(before, after, rtol=0.1)


def test_the_critic_raises_what_the_segmenter_lowers():
    method = segan(learning_rate=1e-3)
    batch = batch_for(method)
    for number, (player, sign) in enumerate(zip(method.players(), (1, -1), strict=True)):
        own = copy.deepcopy(method)
        with torch.no_grad():
            for parameter in own.critic.parameters():
                parameter.clamp_(-0.05, 0.05)
        trainer = Trainer(own, own.settings, rounds=100)
        trainer.players, trainer.optimizers = [trainer.players[number]], [trainer.optimizers[number]]
        assert trainer.players[0].name == player.name
        distances = []
        for _ in range(6):
            with torch.no_grad():
                distances.append(own.segmenter_terms(batch, own.fakes(batch))["features"].item())
            trainer.step(batch)
        assert sign * (distances[-1] - distances[0]) > 0


def test_published_settings():
    s, official = SegAN.paper, resolve(SegAN.paper, SegAN.official, {"preset": "official"}, "segan")
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.ema_decay) == (64, 36, 200, None, 0)
    assert (s.architecture, s.weights) == ("paper", {"critic": 1, "features": 1, "dice": 0})
    assert official == replace(s, architecture="official", weights={"critic": 1, "features": 1, "dice": 1})
    assert SegAN.paper.weights["dice"] == 0
    with torch.device("meta"):
        players = SegAN(2, 64, s).players()
    assert [(p.name, p.every, p.learning_rate, p.betas, p.clamp, p.anew) for p in players] == [
        ("critic", 1, 2e-4, (0.5, 0.999), 0.05, False),
        ("segmenter", 1, 2e-4, (0.5, 0.999), None, False),
    ]
    assert {type(segan(preset=preset).generator) for preset in ("paper", "official")} == {
        Segmenter,
        LargeKernelSegmenter,
    }


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 2e-4), (24, 2e-4), (25, 1e-4), (49, 1e-4), (50, 5e-5), (199, 2e-4 / 128)]
)
def test_the_rate_is_halved_every_25_of_200_epochs(epoch, rate):
    for player in segan().players():
        assert player.learning_rate * player.schedule(epoch / 200) == pytest.approx(rate)


@both
def test_initial_weights(preset):
    method = segan(preset=preset, width=32)
    for network in (method.generator, method.critic):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 5_000:
                height, width = layer.kernel_size
                expected = sqrt(2 / (height * width * layer.out_channels))
                assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
                assert layer.bias is None or not layer.bias.any()
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.5)
                assert not layer.bias.any()
