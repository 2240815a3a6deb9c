"""What every method must do, present and future."""

from dataclasses import replace

import pytest
import torch

from gan.batch import Batch
from gan.errors import InputError
from gan.method import Method
from gan.methods import METHODS
from gan.settings import resolve
from gan.trainer import Trainer

everyone = pytest.mark.parametrize("name", METHODS)


def build(name: str, modalities: int = 3, image_size: int = 64, **entry) -> Method:
    torch.manual_seed(5)
    kind = METHODS[name]
    return kind(modalities, image_size, resolve(kind.paper, kind.official, {"width": 8, **entry}, name))


@everyone
def test_every_term_is_weighted_and_moves_its_own_player(name, batch):
    method, known = build(name), set()
    for player in method.players():
        terms = player.terms(batch, method.fakes(batch))
        assert not known & terms.keys()
        known |= terms.keys()
        for term_name, term in terms.items():
            gradients = torch.autograd.grad(term, player.network.parameters(), retain_graph=True, allow_unused=True)
            assert any(g is not None and g.any() for g in gradients), term_name
    assert known == method.settings.weights.keys()


@everyone
def test_a_player_moves_all_of_its_own_network_and_no_other(name, batch):
    method = build(name)
    trainer = Trainer(method, method.settings, rounds=100)
    everybody = list(zip(trainer.players, trainer.optimizers, strict=True))
    for player, optimizer in everybody:
        own = {id(parameter) for parameter in player.network.parameters()}
        before = {n: p.detach().clone() for n, p in method.named_parameters()}
        trainer.players, trainer.optimizers = [player], [optimizer]
        trainer.round = player.every - 1
        method.zero_grad()
        assert trainer.step(batch).keys() == {player.name}
        for parameter_name, parameter in method.named_parameters():
            moved = not torch.equal(parameter, before[parameter_name])
            assert moved == (id(parameter) in own), parameter_name
            assert (parameter.grad is not None) == (id(parameter) in own), parameter_name  # nothing computed in vain


@everyone
def test_players_step_on_their_own_rounds_at_their_own_rates(name, batch):
    method = build(name)
    trainer = Trainer(method, method.settings, rounds=6)
    for done in range(1, 7):
        played = trainer.step(batch)
        assert played.keys() == {player.name for player in trainer.players if done % player.every == 0}
        for player, optimizer in zip(trainer.players, trainer.optimizers, strict=True):
            if player.name in played:
                expected = player.learning_rate * player.schedule((done - 1) / 6)
                assert [group["lr"] for group in optimizer.param_groups] == [expected]


@everyone
def test_overfits_one_tiny_batch(name, batch):
    """What the generator lowers besides the critics' judgement falls to under a third within 30 of its steps."""
    judgement = {term: 0.0 for term in METHODS[name].paper.weights if term.startswith(("adversarial", "modality"))}
    method = build(name, learning_rate=2e-2, weights=judgement)
    trainer = Trainer(method, method.settings, rounds=10_000)
    trainer.players[-1] = replace(trainer.players[-1], every=1)
    values = []
    for _ in range(30):
        terms = trainer.step(batch)["generator"]
        values.append(sum(method.settings.weights[term] * value.item() for term, value in terms.items()))
    assert values[-1] < values[0] / 3


@everyone
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_translates_between_any_number_of_modalities(name, modalities):
    method = build(name, modalities)
    image, target = torch.rand(3, 1, 64, 64) * 2 - 1, torch.tensor([0, modalities - 1, 1])
    made = method.translate(method.generator, image, torch.zeros(3, dtype=torch.long), target)
    assert made.shape == image.shape
    assert made.dtype == torch.float32
    assert made.abs().max() <= 1


@everyone
def test_the_wanted_modality_matters(name):
    method = build(name)
    image = torch.rand(1, 1, 64, 64).expand(3, -1, -1, -1) * 2 - 1
    made = method.translate(method.generator, image, torch.zeros(3, dtype=torch.long), torch.arange(3))
    assert not torch.allclose(made[0], made[1], atol=1e-4)
    assert not torch.allclose(made[1], made[2], atol=1e-4)


@everyone
def test_larger_images(name):
    method = build(name, image_size=128)
    image, zero = torch.rand(2, 1, 128, 128) * 2 - 1, torch.tensor([0, 1])
    batch = Batch(image, (image > 0).float(), torch.ones_like(image), zero, zero.flip(0))
    for player in method.players():
        assert all(term.isfinite() for term in player.terms(batch, method.fakes(batch)).values())


@everyone
@pytest.mark.parametrize("size", [32, 96, 100])
def test_refuses_sizes_that_its_networks_cannot_take(name, size):
    with pytest.raises(InputError, match=f"image_size: found {size}, expected a multiple of 64"):
        build(name, image_size=size)


@everyone
def test_refuses_a_single_modality(name):
    with pytest.raises(InputError, match="modalities: found 1, expected at least 2"):
        build(name, modalities=1)


@everyone
def test_bf16_trains(name, batch):
    method = build(name, precision="bf16")
    trainer = Trainer(method, method.settings, rounds=10)
    seen = set()
    for layer in method.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda *call: seen.add(call[-1].dtype))
    for _ in range(5):
        played = trainer.step(batch)
    assert seen == {torch.bfloat16, torch.float32}  # the penalty alone stays in float32
    assert {term.dtype for terms in played.values() for term in terms.values()} == {torch.float32}
    assert {p.dtype for p in method.parameters()} == {torch.float32}


@everyone
def test_average_follows_the_generator_with_its_decay(name, batch):
    method = build(name, ema_decay=0.75)
    trainer = Trainer(method, method.settings, rounds=100)
    trainer.step(batch)
    expected = [p.detach().clone() for p in method.generator.parameters()]
    for _ in range(4):
        trainer.step(batch)
        expected = [0.75 * e + 0.25 * p.detach() for e, p in zip(expected, method.generator.parameters(), strict=True)]
    for found, wanted in zip(trainer.averaged.module.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@everyone
def test_says_who_it_is(name):
    kind = METHODS[name]
    assert kind.title
    assert kind.citation
    assert kind.labels_used
    assert kind.paper.weights
    assert (kind.paper.epochs is None) != (kind.paper.rounds is None)
