"""UAGAN's terms against NumPy, from the networks' outputs on; its networks against their definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.layers import PatchCritic
from gan.losses import gradient_penalty
from gan.methods.uagan import UAGAN, Dropout, Encoder, Generator
from gan.settings import resolve
from gan.trainer import Trainer


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def uagan(**entry) -> UAGAN:
    torch.manual_seed(5)
    return UAGAN(3, 64, resolve(UAGAN.paper, UAGAN.official, {"width": 8, **entry}, "uagan"))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def cross_entropy(logits: np.ndarray, label: np.ndarray) -> float:
    return -log_softmax(logits)[np.arange(len(label)), label].mean()


def weighted(logits: np.ndarray, mask: np.ndarray) -> float:
    """Cross-entropy of all pixels: each weighs 0.98 or 0.02, divided by the sum of the weights."""
    log_p = log_softmax(logits)
    target, background = mask[:, 0] == 1, mask[:, 0] == 0
    total = 0.98 * log_p[:, 1][target].sum() + 0.02 * log_p[:, 0][background].sum()
    return -total / (0.98 * target.sum() + 0.02 * background.sum())


def test_parameter_counts():
    """The public code has 60,442,755, 11,648 of which are biases that an instance norm takes away again."""
    with torch.device("meta"):
        generator = Generator(3, 64)
        normalized = [
            layer.out_channels for layer in generator.modules() if isinstance(layer, nn.Conv2d) and layer.bias is None
        ]
        assert parameters(generator) == 60_442_755 - 11_648
        assert sum(normalized) == 11_648
        assert parameters(PatchCritic(128, 64, 3, first_slope=0.001)) == 44_743_616


def test_every_term_by_hand(batch):
    method = uagan().eval()  # without dropout
    critic, generator = method.players()
    fakes = method.fakes(batch)
    torch.manual_seed(1)
    found = {name: term.item() for name, term in critic.terms(batch, fakes).items()}
    torch.manual_seed(1)
    penalty = gradient_penalty(lambda i: method.critic(i)[0], batch.image, fakes["image"].detach())
    with torch.no_grad():
        found |= {name: term.item() for name, term in generator.terms(batch, fakes).items()}
        fake, logits = method.generator(batch.image, batch.target)
        back, logits_of_fake = method.generator(fake, batch.source)
        score, kind, score_fake, kind_fake = (
            o.numpy().astype(float) for image in (batch.image, fake) for o in method.critic(image)
        )
    mask = batch.target_mask.numpy()
    expected = {
        "critic": score_fake.mean() - score.mean(),
        "penalty": penalty.item(),
        "modality_real": cross_entropy(kind, batch.source.numpy()),
        "adversarial": -score_fake.mean(),
        "modality": cross_entropy(kind_fake, batch.target.numpy()),
        "reconstruction": np.abs(back.numpy() - batch.image.numpy()).mean(),
        "segmentation": weighted(logits.numpy().astype(float), mask),
        "shape": weighted(logits_of_fake.numpy().astype(float), mask),
    }
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_slices_without_target_count_as_background(batch):
    empty = replace(batch, target_mask=torch.zeros_like(batch.target_mask))
    method = uagan().eval()
    fakes = method.fakes(batch)
    expected = -log_softmax(fakes["logits"].detach().numpy().astype(float))[:, 0].mean()
    assert method.generator_terms(empty, fakes)["segmentation"].item() == pytest.approx(expected, rel=1e-5)


def defined(network: Generator, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return translation and logits as the definition has them, from the weights alone, in the order of the layers."""

    def convolution(features: Tensor, layer: nn.Sequential) -> Tensor:
        return F.leaky_relu(F.instance_norm(F.conv2d(features, layer[0].weight, padding=1)), 0.01)

    def block(features: Tensor, layers: nn.Sequential) -> Tensor:
        return convolution(convolution(features, layers[0]), layers[1])

    maps = torch.zeros(len(image), network.modalities, *image.shape[2:])
    maps[torch.arange(len(image)), target] = 1
    streams = []
    for encoder, features in zip(network.encoders, (torch.cat([image, maps], dim=1), image), strict=True):
        levels = []
        for layers in encoder.blocks:
            levels.append(block(features, layers))
            features = F.max_pool2d(levels[-1], 2)
        streams.append((block(features, network.bottleneck), levels))
    made = []
    for decoder, (features, own), (_, other) in zip(network.decoders, streams, streams[::-1], strict=True):
        for level in range(4):
            mine, theirs = own[3 - level], other[3 - level]
            attention, enlarge = decoder.attention[level], decoder.enlarge[level]
            passed = torch.sigmoid(F.conv2d(theirs, attention.weight, attention.bias, padding=1))
            skip = mine + convolution(theirs, decoder.other[level]) * passed
            larger = F.conv_transpose2d(features, enlarge.weight, enlarge.bias, stride=2)
            features = block(torch.cat([skip, larger], dim=1), decoder.blocks[level])
        made.append(F.conv2d(features, decoder.out.weight, decoder.out.bias))
    return made[0], made[1]


def test_the_networks_are_as_defined(batch):
    network = uagan().generator.eval()
    with torch.no_grad():
        for found, expected in zip(
            network(batch.image, batch.target), defined(network, batch.image, batch.target), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [encoder.blocks[0][0][0].in_channels for encoder in network.encoders] == [4, 1]
    assert [decoder.out.out_channels for decoder in network.decoders] == [1, 2]


def test_dropout_drops_half_of_the_deepest_skip_and_nothing_else(batch):
    encoder = Encoder(1, 8)
    with torch.no_grad():
        down, skips = encoder.eval()(batch.image)
        torch.manual_seed(2)
        down_in_training, dropped = encoder.train()(batch.image)
        torch.manual_seed(2)
        again = encoder(batch.image)[1]
    assert torch.equal(down, down_in_training)
    for level in (1, 2, 3):
        assert torch.equal(skips[level], dropped[level])
    kept = dropped[0] != 0
    assert torch.equal(dropped[0][kept], 2 * skips[0][kept])
    assert kept.float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.equal(dropped[0], again[0])  # it follows the CPU's generator, which a checkpoint holds


def test_both_encoders_drop_out_in_training_and_none_after_it(batch):
    method = uagan()
    assert sum(isinstance(layer, Dropout) for layer in method.modules()) == 2
    trainer = Trainer(method, method.settings, rounds=10)
    trainer.step(batch)
    first, second = (trainer.segment(batch.image, batch.source) for _ in range(2))
    assert torch.equal(first, second)
    with torch.no_grad():
        assert not torch.equal(method.fakes(batch)["image"], method.fakes(batch)["image"])


def test_segments_in_the_slices_own_modality(batch):
    method = uagan().eval()
    with torch.no_grad():
        logits = method.generator(batch.image, batch.source)[1].numpy().astype(float)
        found = method.segment(method.generator, batch.image, batch.source)
        elsewhere = method.segment(method.generator, batch.image, batch.target)
    np.testing.assert_allclose(found[:, 0], np.exp(log_softmax(logits))[:, 1], rtol=1e-4)
    assert not torch.allclose(found, elsewhere, atol=1e-4)  # the other stream's skips tell


def test_fakes_are_unbounded_and_translations_are_cut_off(batch):
    method = uagan().eval()
    nn.init.constant_(method.generator.decoders[0].out.bias, 1.5)
    with torch.no_grad():
        fake = method.fakes(batch)["image"]
        made = method.translate(method.generator, batch.image, batch.source, batch.target)
    assert fake.max() > 1
    assert torch.equal(made, fake.clamp(-1, 1))


def test_published_settings():
    s = UAGAN.paper
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.ema_decay) == (64, 8, 100, None, 0)
    assert s.weights == {
        "critic": 1,
        "penalty": 10,
        "modality_real": 1,
        "adversarial": 1,
        "modality": 1,
        "reconstruction": 10,
        "segmentation": 100,
        "shape": 100,
    }
    with torch.device("meta"):
        method = UAGAN(2, 128, s)
    assert [(p.name, p.every, p.learning_rate, p.betas, p.anew) for p in method.players()] == [
        ("critic", 1, 1e-4, (0.0, 0.999), False),
        ("generator", 1, 1e-4, (0.0, 0.999), False),
    ]
    slopes = [layer.negative_slope for layer in method.critic.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.001, *[0.01] * 5]


@pytest.mark.parametrize(
    ("progress", "rate", "shape"),
    [(0.0, 1e-4, 0), (0.3, 1e-4, 50), (0.6, 1e-4, 100), (0.8, 5.05e-5, 100), (1.0, 1e-6, 100)],
)
def test_rate_and_weight_of_the_shape_in_time(progress, rate, shape):
    """In 100 epochs: constant for 60, then linearly to 1e-6; 0 to 100 in 60, then constant."""
    critic, generator = uagan().players()
    for player in (critic, generator):
        assert player.learning_rate * player.schedule(progress) == pytest.approx(rate)
    assert generator.weight("shape", progress) == pytest.approx(shape)
    assert generator.ramps.keys() == {"shape"}
    assert generator.weight("segmentation", progress) == 100


@pytest.mark.parametrize(
    ("weights", "needed"), [({}, True), ({"segmentation": 0}, True), ({"segmentation": 0, "shape": 0}, False)]
)
def test_needs_a_target_to_segment(weights, needed):
    assert uagan(weights=weights).settings.reads_target is needed
