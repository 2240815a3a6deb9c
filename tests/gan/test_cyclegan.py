"""CycleGAN's and CycleGAN + GC's terms against NumPy, from the networks' outputs on; who steps when and sees what."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gan.errors import InputError
from gan.methods import METHODS
from gan.methods.cyclegan import CycleGAN, Generator, PatchGAN, gradient_correlation
from gan.methods.cyclegan_gc import CycleGANGC
from gan.settings import resolve
from gan.trainer import Trainer
from tests.gan.tiny import batch_for, build

both = pytest.mark.parametrize("name", ["cyclegan", "cyclegan_gc"])


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_parameters_of_the_published_width_by_hand():
    def convolution(before, after, size):
        return before * after * size**2 + after

    residual = 2 * convolution(256, 256, 3)
    generator = [
        convolution(1, 64, 7),
        convolution(64, 128, 3) + convolution(128, 256, 3),
        9 * residual,
        convolution(256, 128, 3) + convolution(128, 64, 3),
        convolution(64, 1, 7),
    ]
    critic = [convolution(a, b, 4) for a, b in ((1, 64), (64, 128), (128, 256), (256, 512), (512, 1))]
    assert (sum(generator), sum(critic)) == (11_365_633, 2_762_689)
    with torch.device("meta"):
        found = [sum(p.numel() for p in network.parameters()) for network in (Generator(64), PatchGAN(64))]
    assert found == [sum(generator), sum(critic)]


def test_layers():
    generator, critic = Generator(4), PatchGAN(4)
    convolutions = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)]
    padded = [(layer.kernel_size[0], layer.stride[0], layer.padding_mode) for layer in convolutions]
    assert padded == [(7, 1, "reflect"), *[(3, 2, "zeros")] * 2, *[(3, 1, "reflect")] * 18, (7, 1, "reflect")]
    norms = [layer for layer in [*generator.modules(), *critic.modules()] if isinstance(layer, nn.InstanceNorm2d)]
    assert len(norms) == 1 + 2 + 18 + 2 + 3
    assert not any(norm.affine or norm.track_running_stats for norm in norms)
    image = noise(2, 1, 48, 64)
    assert generator(image).shape == image.shape
    assert critic(image).shape == (2, 1, 4, 6)
    slopes = [
        layer.negative_slope
        for network in (generator, critic)
        for layer in network.modules()
        if isinstance(layer, nn.LeakyReLU)
    ]
    assert slopes == [0] * (3 + 9 + 2) + [0.2] * 4


def test_a_residual_block_adds_its_input():
    block = Generator(4).layers[9]
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    features = noise(1, 16, 8, 8)
    assert torch.equal(block(features), features)


def test_a_score_judges_70_by_70_pixels():
    critic = PatchGAN(4)
    layers = nn.Sequential(
        *(nn.Identity() if isinstance(layer, nn.InstanceNorm2d) else layer for layer in critic.layers)
    )
    image = noise(1, 1, 128, 128).requires_grad_()
    (gradient,) = torch.autograd.grad(layers(image)[0, 0, 7, 7], image)
    rows, columns = gradient[0, 0].nonzero().T
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 70


def test_initial_weights():
    torch.manual_seed(0)
    method = CycleGAN(2, 64, resolve(CycleGAN.paper, {}, {"width": 16}, "cyclegan"))
    weights = [p for name, p in method.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in method.named_parameters() if name.endswith("bias")]
    assert len(weights) == len(biases) == 2 * (24 + 5)
    assert not any(bias.any() for bias in biases)
    for weight in weights:
        four_sigma = 4 / weight.numel() ** 0.5
        assert weight.mean().item() == pytest.approx(0, abs=four_sigma * 0.02)
        assert weight.std().item() == pytest.approx(0.02, rel=four_sigma)


@pytest.mark.parametrize("size", [20, 62])
def test_refuses_sizes_that_its_networks_cannot_take(size):
    with pytest.raises(InputError, match=f"image_size: found {size}, expected a multiple of 4 pixels, at least 24"):
        CycleGAN(2, size, CycleGAN.paper)
    smallest = build("cyclegan", image_size=24)
    batch = batch_for(smallest, 24)
    fakes = smallest.fakes(batch)
    assert all(term.isfinite() for player in smallest.players() for term in player.terms(batch, fakes).values())


@pytest.mark.parametrize(("gradient", "absolute"), [("sobel", False), ("difference", False), ("central", True)])
def test_every_term_by_hand(gradient, absolute):
    method = build("cyclegan_gc", batch_size=4, pool_size=50, gradient=gradient, absolute_gradient=absolute)
    batch = batch_for(method)
    a, b = batch.image[:2], batch.image[2:]
    fakes = method.fakes(batch)
    with torch.no_grad():
        found = {n: t.item() for player in method.players() for n, t in player.terms(batch, fakes).items()}
        to_a, to_b = method.generator["a"], method.generator["b"]
        fake_a, fake_b = to_a(b), to_b(a)
        scores = [
            method.critics["a"](a),
            method.critics["b"](b),
            method.critics["a"](fake_a),
            method.critics["b"](fake_b),
        ]
        real_a, real_b, judged_a, judged_b = (score.numpy().astype(float) for score in scores)
        back = [(to_a(fake_b), a), (to_b(fake_a), b)]
        same = [(to_a(a), a), (to_b(b), b)]
    assert torch.equal(fakes["a"], fake_a)
    assert torch.equal(fakes["b"], fake_b)

    def distance(pairs):
        return sum(np.abs((x - y).numpy().astype(float)).sum() / (2 * 64 * 64) for x, y in pairs)

    def inconsistency(images, fakes):
        return 1 - gradient_correlation(images, fakes, gradient, absolute).numpy().mean()

    expected = {
        "adversarial_a": ((judged_a - 1) ** 2).sum() / (2 * 6 * 6),
        "adversarial_b": ((judged_b - 1) ** 2).sum() / (2 * 6 * 6),
        "cycle": distance(back),
        "identity": distance(same),
        "gradient_consistency": (inconsistency(a, fake_b) + inconsistency(b, fake_a)) / 2,
        "critic_a": ((real_a - 1) ** 2).mean() + (judged_a**2).mean(),
        "critic_b": ((real_b - 1) ** 2).mean() + (judged_b**2).mean(),
    }
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_translates_with_the_generator_of_the_wanted_modality():
    method = build("cyclegan")
    image = noise(3, 1, 64, 64)
    target = torch.tensor([1, 0, 1])
    with torch.no_grad():
        made = method.translate(method.model, image, 1 - target, target)
        a, b = method.generator["a"](image), method.generator["b"](image)
    torch.testing.assert_close(made, torch.stack([b[0], a[1], b[2]]))
    assert not torch.allclose(a, b, atol=1e-3)


def test_identity_costs_nothing_where_its_weight_is_0():
    method = build("cyclegan", weights={"identity": 0.0})
    batch, passes = batch_for(method), []
    for generator in method.generator.values():
        generator.register_forward_hook(lambda *call: passes.append(call))
    terms = method.players()[0].terms(batch, method.fakes(batch))
    assert len(passes) == 4
    assert set(method.settings.weights) - set(terms) == {"identity", "critic_a", "critic_b"}


@both
def test_published_settings(name):
    kind = METHODS[name]
    s = kind.paper
    assert (s.width, s.batch_size, s.learning_rate, s.pool_size, s.ema_decay) == (64, 2, 2e-4, 50, 0)
    assert (s.gradient, s.absolute_gradient) == ("sobel", False)
    others = {"adversarial_a": 1, "adversarial_b": 1, "critic_a": 0.5, "critic_b": 0.5, "identity": 0}
    length, weights = {
        "cyclegan": ((200, None), {"cycle": 10, "gradient_consistency": 0}),
        "cyclegan_gc": ((None, 200_000), {"cycle": 3, "gradient_consistency": 0.3}),
    }[name]
    assert (s.epochs, s.rounds) == length
    assert s.weights == others | weights
    with torch.device("meta"):
        players = kind(2, 64, s).players()
    assert [(p.name, p.every, p.anew, p.learning_rate, p.betas) for p in players] == [
        ("generators", 1, False, 2e-4, (0.5, 0.999)),
        ("critics", 1, False, 2e-4, (0.5, 0.999)),
    ]


def test_the_public_codes_differ_in_these_keys_alone():
    zhu = resolve(CycleGAN.paper, CycleGAN.official, {"preset": "official"}, "cyclegan")
    hiasa = resolve(CycleGANGC.paper, CycleGANGC.official, {"preset": "official"}, "cyclegan_gc")
    assert zhu.weights == CycleGAN.paper.weights | {"identity": 0.5 * zhu.weights["cycle"]}
    assert (zhu.gradient, zhu.epochs) == (CycleGAN.paper.gradient, 200)
    assert (hiasa.gradient, hiasa.absolute_gradient) == ("central", True)
    assert hiasa.weights == CycleGANGC.paper.weights


@both
def test_the_learning_rate_falls_linearly_in_the_second_half(name):
    method = build(name)
    trainer = Trainer(method, method.settings, rounds=8)
    batch, rates = batch_for(method), []
    for _ in range(8):
        trainer.step(batch)
        rates.append([group["lr"] / 2e-4 for optimizer in trainer.optimizers for group in optimizer.param_groups])
    expected = [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    for player in zip(*rates, strict=True):
        assert player == pytest.approx(expected)
    assert [player.schedule(1.0) for player in method.players()] == [0, 0]


def test_critics_see_the_fakes_from_before_the_generators_step():
    method = build("cyclegan", batch_size=4, pool_size=50)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=100)
    before = {name: fake.detach().clone() for name, fake in method.fakes(batch).items()}
    seen = {"a": [], "b": []}
    for name, critic in method.critics.items():
        critic.register_forward_pre_hook(lambda _, given, name=name: seen[name].append(given[0].detach().clone()))
    assert list(trainer.step(batch)) == ["generators", "critics"]
    after = method.fakes(batch)
    for name, real in (("a", batch.image[:2]), ("b", batch.image[2:])):
        judged, shown, pooled = seen[name]
        assert torch.equal(judged, before[name])
        assert torch.equal(shown, real)
        assert torch.equal(pooled, before[name])
        assert not torch.allclose(after[name], before[name], atol=1e-4)


def test_critics_learn_from_their_own_pool():
    method = build("cyclegan", pool_size=2)
    batch = batch_for(method)
    for pool, value in ((method.pools["a"], 0.2), (method.pools["b"], -0.4)):
        pool(torch.full((2, 1, 64, 64), value))
    fakes, pools = method.fakes(batch), copy.deepcopy(method.pools)
    torch.manual_seed(1)
    found = method.players()[1].terms(batch, fakes)
    torch.manual_seed(1)
    for name, real, value in (("a", batch.image[:2], 0.2), ("b", batch.image[2:], -0.4)):
        shown = pools[name](fakes[name])
        assert (shown == value).flatten(1).all(dim=1).any()
        with torch.no_grad():
            expected = (method.critics[name](real) - 1).square().mean() + method.critics[name](shown).square().mean()
        assert found[f"critic_{name}"].item() == pytest.approx(expected.item())
        assert torch.equal(method.pools[name].images, pools[name].images)


def test_pools_are_saved_and_restored():
    method = build("cyclegan", pool_size=3)
    batch = batch_for(method)
    trainer = Trainer(method, method.settings, rounds=100)
    for _ in range(3):
        trainer.step(batch)
    state = copy.deepcopy(trainer.state())
    assert state["method"]["pools.a.filled"] == state["method"]["pools.b.filled"] == 3
    assert state["method"]["pools.a.images"].shape == (3, 1, 64, 64)
    expected = [trainer.step(batch) for _ in range(3)]

    torch.manual_seed(7)
    other = build("cyclegan", pool_size=3)
    later = Trainer(other, other.settings, rounds=100)
    later.restore(state)
    for wanted in expected:
        assert later.step(batch) == wanted
    for name in "ab":
        assert torch.equal(other.pools[name].images, method.pools[name].images)
