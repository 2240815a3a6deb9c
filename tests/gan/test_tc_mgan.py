"""TC-MGAN, TC-MGAN bw and their segmentor: terms against NumPy, what stands still, what moves, in which order."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gan import checkpoint
from gan.batch import Slices
from gan.errors import InputError
from gan.method import Method
from gan.methods import METHODS
from gan.methods.conditional_segmentor import ConditionalSegmentor, Segmentor
from gan.methods.mgan import MGAN
from gan.methods.pix2pix import falling
from gan.methods.tc_mgan import TCMGAN
from gan.methods.tc_mgan_bw import TCMGANbw
from gan.settings import resolve
from gan.train import train
from gan.trainer import Trainer
from tests.gan.paired import adversaries_and_distance, dice_loss, judgement, naming, parameters, terms_of
from tests.gan.tiny import batch_for, build, entry

both = pytest.mark.parametrize("name", ["tc_mgan", "tc_mgan_bw"])


def test_published_parameter_counts():
    with torch.device("meta"):
        published = TCMGAN(*TCMGAN.published, TCMGAN.paper)
        alone = ConditionalSegmentor(*ConditionalSegmentor.published, ConditionalSegmentor.paper)
    counts = [parameters(network) for network in (published.generator, published.critic, published.segmentor)]
    assert counts == [41_822_593, 11_203_520, 6_129_025]
    assert parameters(alone) == parameters(alone.model) == 6_129_025


@both
@pytest.mark.parametrize(("preset", "kind"), [("paper", "softmax"), ("official", "bce")])
def test_every_term_by_hand(name, preset, kind):
    method = trained_statistics(build(name, preset=preset))
    batch = batch_for(method)
    found = terms_of(method, batch)
    with torch.no_grad():
        fake = method.generator(method.told(batch.image, batch.target))
        missed = {
            image: dice_loss(method.segmentor(pixels, batch.target), batch.target_mask)
            for image, pixels in (("fake", fake), ("real", batch.truth))
        }
    expected = adversaries_and_distance(method, fake, batch) | {
        "modality_real": naming(judgement(method, batch.truth, batch)[1], batch.target.numpy(), kind),
        "modality": naming(judgement(method, fake, batch)[1], batch.target.numpy(), kind),
        "segmentation": missed["fake"],
    }
    if name == "tc_mgan_bw":
        expected |= {"segmentation_fake": missed["fake"], "segmentation_real": missed["real"]}
    assert found == pytest.approx(expected, rel=1e-4)


def trained_statistics(method: Method) -> Method:
    """Give the segmentor's batch norm statistics that no batch has."""
    for name, buffer in method.segmentor.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.add_(0.5)
    return method


def state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def test_published_settings():
    shared = {"critic": 1, "penalty": 100, "adversarial": 1, "l1": 0.1, "modality_real": 10, "modality": 10}
    assert TCMGAN.paper.weights == shared | {"segmentation": 50}
    assert TCMGANbw.paper.weights == shared | {"segmentation": 50, "segmentation_fake": 0.7, "segmentation_real": 0.3}
    for method in (TCMGAN, TCMGANbw):
        s = method.paper
        assert (s.width, s.segmentor_width, s.batch_size, s.epochs, s.downs) == (64, 64, 64, 100, 7)
        assert (s.learning_rate, s.classification) == (2e-4, "softmax")
        assert resolve(s, method.official, {"preset": "official"}, "") == replace(s, classification="bce")


def test_a_frozen_segmentor_stands_still_and_judges_with_the_statistics_that_it_learned():
    method = trained_statistics(build("tc_mgan"))
    before, batch = state(method.segmentor), batch_for(method)
    trainer = Trainer(method, method.settings, rounds=100)
    method.train()
    for _ in range(3):
        assert list(trainer.step(batch)) == ["critic", "generator"]
    assert before.keys() == method.segmentor.state_dict().keys()
    assert "down.0.1.running_mean" in before
    for key, value in method.segmentor.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in method.segmentor.parameters())
    assert method.generator.training
    assert method.critic.training
    together = method.segmentor(batch.truth, batch.target)
    alone = method.segmentor(batch.truth[:1], batch.target[:1])
    torch.testing.assert_close(alone, together[:1])


def test_segmentor_that_goes_on_steps_after_the_generator_on_fakes_made_anew():
    method = build("tc_mgan_bw", learning_rate=1e-2)
    batch, before = batch_for(method), state(method.segmentor)
    trainer, seen = Trainer(method, method.settings, rounds=100), []
    method.segmentor.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    told = method.told(batch.image, batch.target)
    with torch.no_grad():
        first = method.generator(told)
    played = trainer.step(batch)
    with torch.no_grad():
        second = method.generator(told)

    assert list(played) == ["critic", "generator", "segmentor"]
    for_generator, fake, real = seen
    assert torch.equal(for_generator, first)
    assert torch.equal(fake, second)
    assert not torch.equal(first, second)
    assert not fake.requires_grad
    assert torch.equal(real, batch.truth)
    assert method.segmentor.training
    for key, value in method.segmentor.state_dict().items():
        assert not torch.equal(value, before[key]), key


def test_segmentor_that_goes_on_lowers_its_two_losses_at_the_generators_rate():
    method = build("tc_mgan_bw")
    critic, generator, segmentor = method.players()
    assert (critic.anew, generator.anew, segmentor.anew) == (False, False, True)
    assert segmentor.network is method.segmentor
    adam = [(p.learning_rate, p.betas, p.schedule, p.every) for p in (critic, generator, segmentor)]
    assert adam == [(2e-4, (0.9, 0.999), falling, 1)] * 3
    batch = batch_for(method)
    losses = segmentor.terms(batch, method.fakes(batch))
    weights = {name: segmentor.weight(name, 0.5) for name in losses}
    assert weights == {"segmentation_fake": 0.7, "segmentation_real": 0.3}


@both
def test_without_consistency_the_generator_learns_as_mgans(name):
    """The ablation: weight 0 makes MGAN of it, bit for bit."""
    made = []
    for method in (build("mgan"), build(name, weights={"segmentation": 0.0})):
        batch = batch_for(method)
        if made:
            method.generator.load_state_dict(made[0][0])
            method.critic.load_state_dict(made[0][1])
        start = state(method.generator), state(method.critic)
        trainer = Trainer(method, method.settings, rounds=100)
        torch.manual_seed(1)
        trainer.step(batch)
        made.append((*start, state(method.generator)))
    assert all(torch.equal(a, b) for a, b in zip(made[0][2].values(), made[1][2].values(), strict=True))


def nested(segmentor: Segmentor, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Run the segmentor written out, without batch norm's statistics of their own."""
    maps = F.one_hot(target - 1, segmentor.kinds)[:, :, None, None].expand(-1, -1, *image.shape[2:])

    def block(layers, x):
        x = layers[0](x)
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
        return F.relu((x - mean) / torch.sqrt(var + 1e-5))

    down, up = segmentor.down, segmentor.up
    x1 = block(down[0], torch.cat([image, maps], dim=1))
    x2 = block(down[1], x1)
    x3 = block(down[2], x2)
    y = block(up[0], block(down[3], x3))
    y = block(up[1], torch.cat([x3, y], dim=1))
    y = block(up[2], torch.cat([x2, y], dim=1))
    return torch.sigmoid(segmentor.out(torch.cat([x1, y], dim=1)))


def test_segmentor_is_the_published_one():
    torch.manual_seed(2)
    segmentor, image, target = Segmentor(3, 8), torch.randn(3, 1, 32, 48), torch.tensor([3, 1, 2])
    torch.testing.assert_close(segmentor(image, target), nested(segmentor, image, target), rtol=1e-3, atol=1e-4)
    assert [block[0].out_channels for block in segmentor.down] == [8, 16, 32, 64]
    assert [block[0].out_channels for block in segmentor.up] == [64, 32, 16]
    for block in segmentor.down:
        fan_in = block[0].in_channels * 9
        assert block[0].weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
        assert not block[0].bias.any()


def test_segmentor_trains_on_real_slices_of_the_targets():
    method = build("conditional_segmentor", 4)
    batch, seen = batch_for(method), []
    (player,) = method.players()
    method.segmentor.down[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    found = player.terms(batch, method.fakes(batch))
    assert seen[0].shape == (4, 4, 64, 64)
    assert torch.equal(seen[0][:, :1], batch.truth)
    assert seen[0][:, 1:, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    with torch.no_grad():
        probability = method.segmentor(batch.truth, batch.target)
    assert {name: term.item() for name, term in found.items()} == pytest.approx(
        {"segmentation": dice_loss(probability, batch.target_mask)}, rel=1e-5
    )


def test_segmentors_published_settings():
    s, official = ConditionalSegmentor.paper, ConditionalSegmentor.official
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.learning_rate) == (64, 64, 30, None, 1e-3)
    assert s.weights == {"segmentation": 1}
    assert resolve(s, official, {"preset": "official"}, "") == replace(s, learning_rate=1e-4)
    with torch.device("meta"):
        (player,) = ConditionalSegmentor(4, 128, s).players()
    assert (player.betas, player.every, [player.schedule(p) for p in (0, 0.5, 0.99)]) == ((0.9, 0.999), 1, [1, 1, 1])
    assert not ConditionalSegmentor.translates
    assert not ConditionalSegmentor.segments
    assert issubclass(TCMGAN, MGAN)
    assert {kind.paper.reads_target for kind in (TCMGAN, TCMGANbw, ConditionalSegmentor)} == {True}


def test_segmentor_needs_a_target_modality():
    with pytest.raises(InputError, match="modalities: found 1, expected at least 2"):
        build("conditional_segmentor", 1)


@pytest.fixture
def trained(make_slices, tmp_path):
    """Train a method for three rounds, on ct, t1 and t2 or some of these; return its model's path."""
    folder = make_slices(aligned=True)

    def run(name, modalities=None, start=None, **more):
        kind, output = METHODS[name], tmp_path / f"{name}-{modalities}"
        settings = resolve(kind.paper, kind.official, entry(name, rounds=3, **more), name)
        pretrained = {} if start is None else {"segmentor": start}
        train(Slices(folder, modalities), name, settings, 0, output, pretrained, resume=False)
        return output / "model.pt"

    return run


@both
def test_starts_from_the_segmentor_that_was_trained_before(trained, name):
    start = trained("conditional_segmentor")
    learned = checkpoint.load(start)["averaged"]
    kept = checkpoint.load(trained(name, start=start))["method"]
    names = [key.removeprefix("module.") for key in learned if key.startswith("module.")]
    assert {key.removeprefix("segmentor.") for key in kept if key.startswith("segmentor.")} == set(names)
    same = [torch.equal(kept[f"segmentor.{key}"], learned[f"module.{key}"]) for key in names]
    assert all(same) if name == "tc_mgan" else not any(same)
    counted = {key: value.item() for key, value in kept.items() if key.endswith("num_batches_tracked")}
    assert set(counted.values()) == {3 if name == "tc_mgan" else 3 + 3 * 3}


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"segmentor_width": 4}, "networks of another size, expected the width"),
        ({"modalities": ("ct", "t1")}, r"a model of \['ct', 't1', 't2'\], expected one of \['ct', 't1'\]"),
    ],
)
def test_a_segmentor_of_another_size_is_refused(trained, other, found):
    start = trained("conditional_segmentor")
    with pytest.raises(InputError, match=rf"model\.pt: found {found}"):
        trained("tc_mgan", start=start, **other)


def test_a_model_of_another_method_is_no_segmentor(trained):
    with pytest.raises(InputError, match=r"model\.pt: found a model of mgan, expected one of conditional_segmentor"):
        trained("tc_mgan", start=trained("mgan"))
