"""TarGAN's terms against NumPy, from the networks' outputs on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gan.batch import Batch
from gan.errors import InputError
from gan.layers import PatchCritic
from gan.losses import gradient_penalty
from gan.methods.targan import Encoder, Generator, ShapeController, TarGAN
from gan.settings import resolve
from gan.trainer import Trainer


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def targan(**entry) -> TarGAN:
    torch.manual_seed(5)
    return TarGAN(3, 64, resolve(TarGAN.paper, TarGAN.official, {"width": 8, **entry}, "targan"))


def terms_of(method: TarGAN, batch: Batch) -> dict[str, float]:
    fakes = method.fakes(batch)
    return {name: term.item() for player in method.players() for name, term in player.terms(batch, fakes).items()}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def classification(logits: np.ndarray, label: np.ndarray, kind: str) -> float:
    if kind == "softmax":
        return -log_softmax(logits)[np.arange(len(label)), label].mean()
    wanted, p = np.eye(logits.shape[1])[label], 1 / (1 + np.exp(-logits))
    return -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).sum(1).mean()


def test_published_parameter_counts():
    with torch.device("meta"):
        assert parameters(Generator(3, 64, ("x", "r"))) == 33_750_656
        assert parameters(ShapeController(16)) == 1_942_289
        assert parameters(PatchCritic(256, 64, 6)) == 44_915_648
        published = TarGAN(3, 256, TarGAN.paper)
    assert [parameters(player.network) for player in published.players()] == [
        44_915_648,
        44_915_648,
        33_750_656 + 1_942_289,
    ]


@pytest.mark.parametrize("preset", ["paper", "official"])
def test_every_term_by_hand(batch, preset):
    method = targan(preset=preset)
    kind = {"paper": "softmax", "official": "bce"}[preset]
    found = terms_of(method, batch)

    image, mask, body = (t.numpy() for t in (batch.image, batch.target_mask, batch.body))
    area = ((image + 1) / 2 * mask) * 2 - 1  # masked in [0, 1], then scaled
    real = {"x": image, "r": area}
    inside = mask if preset == "official" else mask * (image > -1)
    foreground = {"x": body, "r": inside}
    source, target = batch.source.numpy(), batch.target.numpy()
    with_target = np.array([True, False, True, True])
    with torch.no_grad():
        fake = method.generator.translate({s: torch.from_numpy(real[s]) for s in "xr"}, batch.target)
        back = method.generator.translate(fake, batch.source)
        for stream, judged in (("x", np.ones(4, bool)), ("r", with_target)):
            outputs = [method.critics[stream](torch.as_tensor(t)[judged]) for t in (real[stream], fake[stream])]
            (score, kinds), (score_fake, kinds_fake) = [[o.numpy().astype(float) for o in pair] for pair in outputs]
            shape = method.shape(fake[stream]).numpy()
            expected = {
                "critic": score_fake.mean() - score.mean(),
                "modality_real": classification(kinds, source[judged], kind),
                "untraceable": classification(kinds_fake, source[judged] + 3, kind),
                "adversarial": -score_fake.mean(),
                "modality": classification(kinds_fake, target[judged], kind),
                "reconstruction": np.abs(back[stream].numpy() - real[stream]).mean(),
                "shape": ((shape - foreground[stream]) ** 2).mean(),
            }
            for name, value in expected.items():
                assert found.pop(f"{name}_{stream}") == pytest.approx(value, rel=1e-4, abs=1e-6), name
    x, r = ((fake[s].numpy() + 1) / 2 for s in "xr")
    assert found.pop("crossing") == pytest.approx(np.abs(x * mask - r).mean(), rel=1e-5)
    assert found.keys() == {"penalty_x", "penalty_r"}  # see the next test


@pytest.mark.parametrize(("stream", "judged"), [("x", [0, 1, 2, 3]), ("r", [0, 2, 3])])
def test_penalty_of_each_critic(batch, stream, judged):
    method = targan()
    fakes = method.fakes(batch)
    real = {"x": batch.image, "r": torch.where(batch.target_mask > 0, batch.image, -1.0)}[stream][judged]
    torch.manual_seed(1)
    found = method.critic_terms(stream, batch, fakes)[f"penalty_{stream}"]
    torch.manual_seed(1)
    assert found == gradient_penalty(lambda i: method.critics[stream](i)[0], real, fakes[stream][judged].detach())


def test_slices_without_target_teach_d_r_nothing(batch):
    """What the r stream makes of the second slice reaches D_r's terms nowhere, the other terms on r do see it."""
    method = targan()
    fakes = method.fakes(batch)
    other = {**fakes, "r": fakes["r"].clone()}
    other["r"][1] += 0.5
    for terms, same in (
        (lambda f: method.critic_terms("r", batch, f), {"critic_r", "penalty_r", "modality_real_r", "untraceable_r"}),
        (lambda f: method.generator_terms(batch, f), {"adversarial_r", "modality_r"}),
    ):
        torch.manual_seed(0)
        first = terms(fakes)
        torch.manual_seed(0)
        second = terms(other)
        for name in (n for n in first if n.endswith("_r") or n == "crossing"):
            assert bool(first[name] == second[name]) == (name in same), name


def test_a_batch_without_any_target(batch):
    empty = replace(batch, target_mask=torch.zeros_like(batch.target_mask))
    method = targan()
    terms = terms_of(method, empty)
    for name in ("critic", "penalty", "modality_real", "untraceable"):
        assert f"{name}_r" not in terms
    for name in ("adversarial", "modality"):
        assert terms[f"{name}_r"] == 0
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["shape_r"] > 0


def test_batches_without_any_target_leave_d_r_as_it_is(batch):
    method = targan()
    trainer = Trainer(method, method.settings, rounds=10)
    trainer.step(batch)  # gives Adam a momentum
    before = {name: value.clone() for name, value in method.critics["r"].state_dict().items()}
    assert "critic_r" not in trainer.step(replace(batch, target_mask=torch.zeros_like(batch.target_mask)))
    assert all(torch.equal(value, before[name]) for name, value in method.critics["r"].state_dict().items())


def test_layers_that_parameter_counts_do_not_tell():
    generator, image = targan().generator, torch.arange(64.0).reshape(1, 1, 8, 8)
    slopes = {layer.negative_slope for layer in generator.modules() if isinstance(layer, torch.nn.LeakyReLU)}
    assert slopes == {0.01}
    sizes = {layer.mode for layer in generator.modules() if isinstance(layer, torch.nn.Upsample)}
    assert sizes == {"nearest"}
    features, skips = Encoder([torch.nn.Identity()])(torch.cat([image, -image], dim=1))
    assert features[0, 0, 0, 0] == (0 + 1 + 8 + 9) / 4
    assert torch.equal(skips[0], image)


def test_area_has_background_minus_one(batch):
    area = targan()._real(batch)["r"]
    assert (area[batch.target_mask == 0] == -1).all()
    assert torch.equal(area[batch.target_mask == 1], batch.image[batch.target_mask == 1])


def test_only_the_x_stream_runs_at_test(batch):
    method = targan()
    both = method.fakes(batch)["x"]
    for modules in (method.generator.encoders, method.generator.decoders, method.generator.outputs):
        del modules["r"]
    torch.testing.assert_close(method.translate(method.generator, batch.image, batch.source, batch.target), both)


STREAM = {"critic", "penalty", "modality_real", "untraceable", "adversarial", "modality", "reconstruction"}


@pytest.mark.parametrize(
    ("entry", "streams", "shape", "players"),
    [
        ({}, "xr", True, 3),
        ({"weights": {"shape_x": 0, "shape_r": 0}}, "xr", False, 3),
        ({"target_stream": False}, "x", True, 2),
        ({"target_stream": False, "weights": {"shape_x": 0}}, "x", False, 2),
        ({"weights": {"crossing": 0}}, "xr", True, 3),
    ],
)
def test_ablations(batch, entry, streams, shape, players):
    method = targan(**entry)
    expected = {f"{term}_{s}" for s in streams for term in STREAM | ({"shape"} if shape else set())}
    assert terms_of(method, batch).keys() == expected | ({"crossing"} if "r" in streams else set())
    assert len(method.players()) == players
    own = parameters(method.generator) + (parameters(ShapeController(2)) if shape else 0)
    assert parameters(method.players()[-1].network) == own


def test_published_settings():
    s, official = TarGAN.paper, resolve(TarGAN.paper, TarGAN.official, {"preset": "official"}, "targan")
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.ema_decay) == (64, 4, 50, None, 0.999)
    assert (s.learning_rate, s.critic_learning_rate) == (1e-4, 3e-4)
    assert {t: s.weights[t] for t in ("crossing", "penalty_x", "untraceable_r", "shape_r", "reconstruction_x")} == {
        "crossing": 50,
        "penalty_x": 10,
        "untraceable_r": 0.01,
        "shape_r": 1,
        "reconstruction_x": 1,
    }
    assert official == replace(s, classification="bce", target_shape="mask")
    with torch.device("meta"):
        players = TarGAN(2, 64, s).players()
    assert [p.learning_rate for p in players] == [3e-4, 3e-4, 1e-4]
    assert {p.betas for p in players} == {(0.5, 0.9)}
    assert {p.every for p in players} == {1}


def test_width_must_be_divisible():
    with pytest.raises(InputError, match="width: found 10, expected a multiple of 4"):
        targan(width=10)
