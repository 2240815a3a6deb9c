"""The registry's table, and the costs in it."""

from dataclasses import replace
from math import lcm

import pytest
import torch
from torch import nn

from gan.cost import Counter, cost, parameters
from gan.losses import gradient_penalty
from gan.methods import METHODS
from gan.registry_table import markdown
from gan.trainer import Trainer
from tests.gan.tiny import SIZE, batch_for, build


def test_multiply_adds_of_a_penalty_by_hand():
    """Two 3×3 convolutions, 1 → 4 → 2 channels, of three 8×8 images."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3, padding=1))
    image = torch.rand(3, 1, 8, 8)
    first, second = (3 * 64 * 9 * pairs for pairs in (1 * 4, 4 * 2))  # one pass through a convolution
    with Counter() as counter:
        network(image).sum().backward()
        assert counter.take() == 2 * first + 3 * second  # the image wants no gradient
        penalty = gradient_penalty(network, image, image)
        assert counter.take() == 2 * first + 2 * second  # the weights want none yet
        penalty.backward(inputs=list(network.parameters()))
        # through each gradient to its weights and to what it was made of, and through the tanh to the first's weights
        assert counter.take() == 3 * first + 2 * second


PARAMETERS = {
    "targan": {"generator": 33_750_656, "critics.x": 44_915_648, "critics.r": 44_915_648, "shape": 1_942_289},
    "stargan": {"generator": 8_411_712, "critic": 44_743_616},
    "mgan": {"generator": 41_822_593, "critic": 11_203_520},
    "tc_mgan": {"generator": 41_822_593, "critic": 11_203_520, "segmentor": 6_129_025},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_parameters(name):
    kind = METHODS[name]
    with torch.device("meta"):
        found = parameters(kind(*kind.published, kind.paper))
    assert {network: found[network] for network in PARAMETERS[name]} == PARAMETERS[name]


CUBES = ("csgan", 16, {"dimensions": 3})


@pytest.mark.parametrize(("name", "size", "more"), [*((name, SIZE, {}) for name in METHODS), CUBES])
def test_counts_what_the_trainer_does(name, size, more):
    batch = batch_for(build(name, image_size=size, **more), size)
    batch = replace(batch, target_mask=torch.ones_like(batch.target_mask))
    method = build(name, image_size=size, batch_size=len(batch.source), **more)
    trainer = Trainer(method, method.settings, rounds=10**6)
    trainer.players = [replace(player, schedule=lambda progress: 1.0) for player in trainer.players]
    rounds = lcm(*(player.every for player in trainer.players))
    with Counter() as counter:
        for _ in range(rounds):
            trainer.step(batch)
        expected = counter.take() / rounds
    found = cost(type(method), method.modalities, size, method.settings)
    assert found.batch == batch.image.shape
    assert found.multiply_adds == pytest.approx(expected, rel=1e-12)
    assert sum(found.networks.values()) == sum(parameter.numel() for parameter in method.parameters())
    assert found.networks == parameters(method)


def test_the_table_names_everything():
    what, costs, papers = markdown().split("\n\n")
    assert "| `targan` | TarGAN | no | n | ✔ | – | all modalities |" in what
    assert "| `targan` | generator 33,750,656, critics 2 × 44,915,648, shape 1,942,289 |" in costs
    for name, kind in METHODS.items():
        assert f"| `{name}` | {kind.title} |" in what
        assert f"| `{name}` | " in costs
        assert kind.citation in papers
