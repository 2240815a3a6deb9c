"""StarGAN's terms against NumPy, from the networks' outputs on."""

import numpy as np
import pytest
import torch
from torch import nn

from gan.layers import PatchCritic
from gan.losses import gradient_penalty
from gan.methods.stargan import Generator, StarGAN
from gan.settings import resolve


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def cross_entropy(logits: np.ndarray, label: np.ndarray) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    return (np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(label)), label]).mean()


def test_published_parameter_counts():
    with torch.device("meta"):
        assert parameters(Generator(3, 64)) == 8_411_712
        assert parameters(PatchCritic(128, 64, 3)) == 44_743_616
        assert parameters(PatchCritic(256, 64, 3)) == 44_817_344


def test_every_term_by_hand(batch):
    torch.manual_seed(5)
    method = StarGAN(3, 64, resolve(StarGAN.paper, StarGAN.official, {"width": 8}, "stargan"))
    critic, generator = method.players()
    fakes = method.fakes(batch)
    torch.manual_seed(1)
    found = {name: term.item() for name, term in critic.terms(batch, fakes).items()}
    torch.manual_seed(1)
    penalty = gradient_penalty(lambda i: method.critic(i)[0], batch.image, fakes["image"].detach())
    with torch.no_grad():
        found |= {name: term.item() for name, term in generator.terms(batch, fakes).items()}
        fake = method.generator(batch.image, batch.target)
        back = method.generator(fake, batch.source)
        score, kind, score_fake, kind_fake = (
            o.numpy().astype(float) for image in (batch.image, fake) for o in method.critic(image)
        )
    expected = {
        "critic": score_fake.mean() - score.mean(),
        "penalty": penalty.item(),
        "modality_real": cross_entropy(kind, batch.source.numpy()),
        "adversarial": -score_fake.mean(),
        "modality": cross_entropy(kind_fake, batch.target.numpy()),
        "reconstruction": np.abs(back.numpy() - batch.image.numpy()).mean(),
    }
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_published_settings():
    s = StarGAN.paper
    assert (s.width, s.batch_size, s.epochs, s.rounds) == (64, 16, None, 200_000)
    assert s.weights == {
        "critic": 1,
        "penalty": 10,
        "modality_real": 1,
        "adversarial": 1,
        "modality": 1,
        "reconstruction": 10,
    }
    with torch.device("meta"):
        players = StarGAN(2, 64, s).players()
    assert [(p.name, p.every, p.learning_rate, p.betas) for p in players] == [
        ("critic", 1, 1e-4, (0.5, 0.999)),
        ("generator", 5, 1e-4, (0.5, 0.999)),
    ]


@pytest.mark.parametrize(
    ("preset", "progress", "factor"),
    [("paper", 0.0, 1), ("paper", 0.5, 1), ("paper", 0.75, 0.5), ("paper", 1, 0), ("official", 1, 0.999)],
)
def test_learning_rate_schedule(preset, progress, factor):
    settings = resolve(StarGAN.paper, StarGAN.official, {"preset": preset}, "stargan")
    with torch.device("meta"):
        players = StarGAN(2, 64, settings).players()
    assert [player.schedule(progress) for player in players] == pytest.approx([factor, factor])
