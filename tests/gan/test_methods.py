"""What every method must do, present and future."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from gan.batch import Batch
from gan.errors import InputError
from gan.method import Method
from gan.methods import METHODS
from gan.noise import random_batch
from gan.scope import Scope
from gan.trainer import Trainer
from tests.gan.tiny import batch_for, build

BF16 = 0.005  # measured: 0.0028, TarGAN's reconstruction; 0.0005 of the other terms but that on r, 0.0018

everyone = pytest.mark.parametrize("name", METHODS)
translators = pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if kind.translates])
segmenters = pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if kind.segments])
to_many = pytest.mark.parametrize(
    "name",
    [name for name, kind in METHODS.items() if kind.translates and kind.scope in (Scope.ALL, Scope.ONE_TO_ALL)],
)


def image_of(method: Method, number: int, size: int = 64) -> torch.Tensor:
    return batch_for(method, size).image[:1].expand(number, *[-1] * (1 + method.dimensions))


@everyone
def test_every_term_is_weighted_and_moves_its_own_player(name):
    method, known = build(name), set()
    batch = batch_for(method)
    for player in method.players():
        terms = player.terms(batch, method.fakes(batch))
        assert not known & terms.keys()
        known |= terms.keys()
        assert player.ramps.keys() <= terms.keys()
        for term_name, term in terms.items():
            gradients = torch.autograd.grad(term, player.network.parameters(), retain_graph=True, allow_unused=True)
            assert any(g is not None and g.any() for g in gradients), term_name
    assert known == method.settings.weights.keys()


@everyone
def test_a_player_moves_all_of_its_own_network_and_no_other(name):
    method = build(name)
    batch = batch_for(method)
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
def test_players_step_on_their_own_rounds_at_their_own_rates(name):
    method = build(name)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=6)
    for done in range(1, 7):
        played = trainer.step(batch)
        progress = (done - 1) / 6
        stepping = {p.name for p in trainer.players if done % p.every == 0 and p.schedule(progress)}
        assert played.keys() == stepping
        for player, optimizer in zip(trainer.players, trainer.optimizers, strict=True):
            if player.name in played:
                expected = player.learning_rate * player.schedule(progress)
                assert [group["lr"] for group in optimizer.param_groups] == [expected]


def error_of(method: Method, batch: Batch) -> float:
    """Return the mean absolute error of the translation, where the truth is known, or of the way there and back.

    Of a segmenter, the cross-entropy of its segmentation; of what another method starts from, its own loss.
    """
    with torch.no_grad():
        if not method.translates and not method.segments:
            (player,) = method.players()
            return sum(player.terms(batch, {}).values()).item()
        if not method.translates:
            return method.watched_loss(method.model, batch).item()
        there = method.translate(method.model, batch.image, batch.source, batch.target)
        if batch.truth is not None:
            return F.l1_loss(there, batch.truth).item()
        back = method.translate(method.model, there, batch.target, batch.source)
        return F.l1_loss(back, batch.image).item()


def missed_by(method: Method, batch: Batch) -> float:
    """Return the share of the pixels that a method's own segmentation gets wrong; 0 of one that does not segment."""
    if not method.segments:
        return 0.0
    method.eval()
    with torch.no_grad():
        found = method.segment(method.model, batch.image, batch.source) >= 0.5
    method.train()
    return (found != (batch.target_mask > 0)).float().mean().item()


@everyone
def test_overfits_one_tiny_batch(name):
    """The error falls to under a third within 60 rounds, with the game of critics and generator switched off.

    TarGAN's alone is not there yet: it falls in waves, to 0.57 of what it was in 60, 0.31 in 70 and 0.18 in 90 rounds.
    """
    game = ("adversarial", "critic", "modality")
    weights = {term: 0.0 for term in METHODS[name].paper.weights if term.startswith(game)}
    method = build(name, learning_rate=5e-3, weights=weights)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=10_000)
    trainer.players = [replace(player, every=1) for player in trainer.players]
    before, missed = error_of(method, batch), missed_by(method, batch)
    for _ in range(90 if name == "targan" else 60):
        trainer.step(batch)
    assert error_of(method, batch) < before / 3
    assert missed_by(method, batch) <= missed / 3


@to_many
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_translates_between_any_number_of_modalities(name, modalities):
    method = build(name, modalities)
    image, target = image_of(method, 3), torch.tensor([1, modalities - 1, 1])
    made = method.translate(method.model, image, torch.zeros(3, dtype=torch.long), target)
    assert made.shape == image.shape


@translators
def test_translations_are_images(name):
    method = build(name)
    image = image_of(method, 2)
    made = method.translate(method.model, image, torch.tensor([0, 0]), torch.tensor([1, 1]))
    assert made.shape == image.shape
    assert made.dtype == torch.float32
    assert made.abs().max() <= 1


@segmenters
def test_segmentations_are_probabilities(name):
    method = build(name)
    image = image_of(method, 2)
    made = method.segment(method.model, image, torch.tensor([0, 0]))
    assert made.shape == (2, 1, *image.shape[2:])
    assert made.dtype == torch.float32
    assert made.min() >= 0
    assert made.max() <= 1


@to_many
def test_the_wanted_modality_matters(name):
    method = build(name)
    image = image_of(method, 2)
    made = method.translate(method.model, image, torch.tensor([0, 0]), torch.tensor([1, 2]))
    assert not torch.allclose(made[0], made[1], atol=1e-4)


@everyone
def test_larger_images(name):
    method = build(name, image_size=128)
    batch = batch_for(method, 128)
    for player in method.players():
        assert all(term.isfinite() for term in player.terms(batch, method.fakes(batch)).values())


@everyone
@pytest.mark.parametrize("size", [66, 97])
def test_refuses_sizes_that_its_networks_cannot_take(name, size):
    with pytest.raises(InputError, match=rf"image_size: found {size}, expected a multiple of \d+"):
        build(name, image_size=size)


@translators
def test_refuses_a_single_modality(name):
    with pytest.raises(InputError, match="modalities: found 1, expected"):
        build(name, 1)


WAITING = {  # for values, to know how many slices are which
    "targan": "slices that show the target",
    "cyclegan": "how full the pool is",
    "cyclegan_gc": "how full the pool is",
    "remic": "slices of each modality",
}


@pytest.mark.parametrize("name", [*(name for name in METHODS if name not in WAITING), "targan"])
def test_no_term_waits_for_values(name):
    """Tensors have no values here; TarGAN's have none to wait for without its target stream."""
    with FakeTensorMode():
        method = build(name, **{"target_stream": False} if name == "targan" else {})
        batch = random_batch(method, 64)
        for player in method.players():
            assert player.terms(batch, method.fakes(batch))


@everyone
def test_bf16_trains(name):
    method = build(name, precision="bf16")
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=10)
    seen = set()
    for layer in method.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d):
            layer.register_forward_hook(lambda *call: seen.add(call[-1].dtype))
    for _ in range(max(player.every for player in trainer.players)):
        played = trainer.step(batch)
    assert torch.bfloat16 in seen
    assert {term.dtype for terms in played.values() for term in terms.values()} == {torch.float32}
    assert {p.dtype for p in method.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["targan", "stargan"])
def test_bf16_begins_with_the_terms_of_fp32(name):
    """Every term of the first round, by a small share of its size or of 1, which the scores are far from reaching."""
    played = []
    for precision in ("fp32", "bf16"):
        method = build(name, precision=precision)
        batch = batch_for(method)
        torch.manual_seed(5)
        trainer = Trainer(method, method.settings, rounds=10)
        trainer.round = max(player.every for player in trainer.players) - 1
        played.append({term: value.item() for terms in trainer.step(batch).values() for term, value in terms.items()})
    expected, found = played
    assert found.keys() == expected.keys() == method.settings.weights.keys()
    assert found != expected
    apart = {term: abs(found[term] - value) / max(1, abs(value)) for term, value in expected.items()}
    assert max(apart.values()) < BF16, apart


@everyone
def test_average_follows_the_model_with_its_decay(name):
    method = build(name, ema_decay=0.75)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=100)
    trainer.step(batch)
    expected = [p.detach().clone() for p in method.model.parameters()]
    for _ in range(4):
        trainer.step(batch)
        expected = [0.75 * e + 0.25 * p.detach() for e, p in zip(expected, method.model.parameters(), strict=True)]
    for found, wanted in zip(trainer.averaged.module.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@everyone
@pytest.mark.parametrize("preset", ["paper", "official"])
def test_both_presets_run(name, preset):
    method = build(name, preset=preset)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=100)
    for _ in range(max(player.every for player in trainer.players)):
        played = trainer.step(batch)
    assert played


@everyone
def test_says_who_it_is(name):
    kind = METHODS[name]
    assert kind.title
    assert kind.citation
    assert kind.labels_used
    assert kind.differences
    assert kind.published.image_size % 2 == 0
    assert kind.paper.weights
    assert (kind.paper.epochs is None) != (kind.paper.rounds is None)
