"""ReMIC's terms against NumPy, from the networks' outputs on, and what its codes are made of."""

import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.batch import Batch, Draw
from gan.content_style import Critic, Decoder, Generator, Residual, adaptive_norm
from gan.methods.remic import ReMIC
from gan.trainer import Trainer
from tests.gan.tiny import batch_for, build

TARGETS = [[1, 1, 2, 0, 1, 1], [1, 1, 2, 2, 1, 1]]  # of sources 0, 0, 1, 1, 2, 2; in the second, nothing becomes a 0


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def decided() -> ReMIC:
    """Return a small method whose critics do not score everything near 0, as they do at first."""
    method = build("remic")
    with torch.no_grad():
        for parameter in method.critics.parameters():
            parameter.mul_(5)
    return method


def uneven(method: ReMIC, targets: list[int] = TARGETS[0]) -> Batch:
    """Return two slices of each modality, of which some are wanted in one modality more often than in others."""
    return replace(batch_for(method), target=torch.tensor(targets))


def terms_of(method: ReMIC, batch: Batch, fakes: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: term.item() for player in method.players() for name, term in player.terms(batch, fakes).items()}


@pytest.mark.parametrize("targets", TARGETS)
def test_every_term_by_hand(targets):
    method = decided()
    batch = uneven(method, targets)
    fakes = method.fakes(batch)
    found = terms_of(method, batch, fakes)

    generator, source, target = method.generator, batch.source.numpy(), batch.target.numpy()
    with torch.no_grad():
        fake, content, style = fakes["image"], fakes["content"].numpy(), fakes["style"].numpy()
        own = generator.decode(fakes["content"], generator.style(batch.image, batch.source), batch.source).numpy()
        content_again = generator.content(fake, batch.target).numpy()
        style_again = generator.style(fake, batch.target).numpy()
        probability = method.segment(generator, batch.image, batch.source).numpy().astype(float)
        real_scores, fake_scores = (
            [[score.numpy() for score in critic(images[kind == m])] for m, critic in enumerate(method.critics)]
            for images, kind in ((batch.image, batch.source), (fake, batch.target))
        )
    image, mask = batch.image.numpy(), batch.target_mask.numpy()
    made = sorted(set(targets))
    dice = [
        (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1) for p, y in zip(probability[:, 0], mask[:, 0], strict=True)
    ]
    crossed = -(mask * np.log(probability) + (1 - mask) * np.log(1 - probability))
    expected = {
        "critic": sum(((score - 1) ** 2).mean() for m in range(3) for score in real_scores[m])
        + sum((score**2).mean() for m in made for score in fake_scores[m]),
        "adversarial": sum(((score - 1) ** 2).mean() for m in made for score in fake_scores[m]),
        "image": sum(np.abs(own - image)[source == m].mean() for m in range(3)),
        "content": sum(np.abs(content_again - content)[source == m].mean() for m in range(3)),
        "style": sum(np.abs(style_again - style)[target == m].mean() for m in made),
        "segmentation": 1 - np.mean(dice) + crossed.mean(),
    }
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert [len(scores) for scores in real_scores] == [3, 3, 3]


def test_every_weight_counts_once():
    """A round lowers the weighted sum of these terms: image consistency 10, everything else 1."""
    s = ReMIC.paper
    assert s.weights == {"critic": 1, "adversarial": 1, "image": 10, "content": 1, "style": 1, "segmentation": 1}
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.ema_decay) == (64, 3, None, 100_000, 0)
    assert ReMIC.official == {}
    assert ReMIC.published == (3, 256)
    assert (ReMIC.draw, ReMIC.translates, ReMIC.segments) == (Draw.BALANCED, True, True)
    with torch.device("meta"):
        players = ReMIC(2, 64, s).players()
    assert [(p.name, p.every, p.learning_rate, p.betas, p.anew) for p in players] == [
        ("critics", 1, 1e-4, (0.5, 0.999), False),
        ("generator", 1, 1e-4, (0.5, 0.999), False),
    ]
    assert {player.schedule(progress) for player in players for progress in (0, 0.5, 0.99)} == {1}


@pytest.mark.parametrize(("modalities", "w"), [(3, 64), (2, 64), (3, 8)])
def test_parameters_by_hand(modalities, w):
    """All channels follow from the width w."""

    def convolution(kernel, before, after, bias=True):
        return kernel**2 * before * after + after * bias

    residuals = 4 * 2 * convolution(3, 4 * w, 4 * w, bias=False)
    growing = convolution(5, 4 * w, 2 * w) + 4 * w + convolution(5, 2 * w, w) + 2 * w + convolution(7, w, 1)
    content = convolution(7, modalities, w, bias=False) + convolution(4, w, 2 * w, bias=False)
    content += convolution(4, 2 * w, 4 * w, bias=False) + residuals
    style = convolution(7, 1, w) + convolution(4, w, 2 * w) + convolution(4, 2 * w, 4 * w)
    style += 2 * convolution(4, 4 * w, 4 * w) + convolution(1, 4 * w, 8)
    norms = convolution(1, 8, 4 * w) + convolution(1, 4 * w, 4 * w) + convolution(1, 4 * w, 4 * 4 * 4 * w)
    critic = sum(convolution(4, before * w or 1, after * w) for before, after in ((0, 1), (1, 2), (2, 4), (4, 8)))
    critic = 3 * (critic + convolution(1, 8 * w, 1))
    with torch.device("meta"):
        generator, found = Generator(modalities, w), parameters(Critic(w))
    assert parameters(generator.content_encoder) == content
    assert [parameters(network) for network in generator.style_encoders] == [style] * modalities
    assert [parameters(network) for network in generator.decoders] == [norms + residuals + growing] * modalities
    assert parameters(generator.segmenter) == residuals + growing
    assert found == critic


def test_published_parameters():
    with torch.device("meta"):
        method = ReMIC(*ReMIC.published, ReMIC.paper)
    assert (parameters(method.generator), parameters(method.critics)) == (40_006_876, 24_795_081)


def test_layers_that_parameter_counts_do_not_tell():
    method = build("remic")
    generator = method.generator
    wide = [layer for layer in method.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)]
    assert {layer.padding_mode for layer in wide} == {"reflect"}
    assert {layer.mode for layer in generator.modules() if isinstance(layer, nn.Upsample)} == {"nearest"}
    assert {layer.negative_slope for layer in method.critics.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert {layer.num_groups for layer in generator.modules() if isinstance(layer, nn.GroupNorm)} == {1}
    assert {type(layer) for layer in generator.style_encoders[0]} == {
        nn.Conv2d,
        nn.ReLU,
        nn.AdaptiveAvgPool2d,
        nn.Flatten,
    }  # no norm
    content = [type(layer) for layer in generator.content_encoder]
    assert content == [nn.Conv2d, nn.InstanceNorm2d, nn.ReLU] * 3 + [Residual] * 4
    assert generator.content(torch.zeros(2, 1, 64, 64), torch.tensor([0, 1])).shape == (2, 32, 16, 16)
    assert generator.style(torch.zeros(2, 1, 64, 64), torch.tensor([0, 1])).shape == (2, 8)


def test_initial_weights():
    method = build("remic", width=32)
    decoder, critic = method.generator.decoders[0], method.critics[1].scales[2]
    for layer in (decoder.growing[1], decoder.norms[2], method.generator.content_encoder[3]):
        fan_in = layer.weight[0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
    assert critic[2].weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not any(p.any() for name, p in method.named_parameters() if name.endswith("bias"))


def test_adaptive_norm_by_hand():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 3, 4, 5, generator=generator) * 3 + 1
    shift, scale = torch.randn(2, 2, 3, generator=generator)
    x = features.numpy().astype(float)
    mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    normalized = (x - mean) / np.sqrt(variance + 1e-5)
    expected = scale.numpy()[..., None, None] * normalized + shift.numpy()[..., None, None]
    np.testing.assert_allclose(adaptive_norm(features, shift, scale).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(adaptive_norm(features, None, None).numpy(), normalized, atol=1e-5)


@pytest.mark.parametrize("adaptive", [True, False])
def test_residual_by_hand(adaptive):
    torch.manual_seed(2)
    block, features, norms = Residual(4), torch.randn(2, 4, 6, 6), torch.randn(2, 16)

    def convolved(image, layer):
        padded = np.pad(image, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        return np.einsum("bcyxij,ocij->boyx", windows, layer.weight.detach().numpy())

    def normalized(image, shift, scale):
        image = (image - image.mean((2, 3), keepdims=True)) / np.sqrt(image.var((2, 3), keepdims=True) + 1e-5)
        return scale[..., None, None] * image + shift[..., None, None] if adaptive else image

    shift, scale, shift_again, scale_again = np.split(norms.numpy(), 4, axis=1)
    change = np.maximum(normalized(convolved(features.numpy(), block.first), shift, scale), 0)
    expected = features.numpy() + normalized(convolved(change, block.second), shift_again, scale_again)
    found = block(features, norms) if adaptive else block(features)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-4)


def test_the_style_sets_the_norms_of_every_block():
    torch.manual_seed(3)
    decoder, content, style = Decoder(4), torch.randn(2, 16, 8, 8), torch.randn(2, 8)
    expected = content
    for number, block in enumerate(decoder.residuals):
        expected = block(expected, decoder.norms(style)[:, 64 * number : 64 * (number + 1)])
    torch.testing.assert_close(decoder(content, style), decoder.growing(expected))
    before = decoder(content, style)
    assert not torch.allclose(decoder(content, style.flip(0)), before, atol=1e-3)


def test_scales_of_a_critic_by_hand():
    """Each scale sees the mean of the 3×3 pixels around every second pixel of the last, those inside the image."""
    critic, seen = Critic(4), []
    for scale in critic.scales:
        scale.register_forward_pre_hook(lambda module, given: seen.append(given[0].numpy()))
    with torch.no_grad():
        scores = critic(torch.randn(2, 1, 128, 128))
    assert [tuple(score.shape) for score in scores] == [(2, 1, 8, 8), (2, 1, 4, 4), (2, 1, 2, 2)]
    assert [image.shape[2:] for image in seen] == [(128, 128), (64, 64), (32, 32)]
    for larger, smaller in pairwise(seen):
        for y, x in ((0, 0), (0, 7), (5, 3), (smaller.shape[2] - 1, smaller.shape[3] - 1)):
            window = larger[:, 0, max(2 * y - 1, 0) : 2 * y + 2, max(2 * x - 1, 0) : 2 * x + 2]
            np.testing.assert_allclose(smaller[:, 0, y, x], window.mean((1, 2)), atol=1e-5)


def test_missing_inputs_are_zeros():
    """A real slice lies in the channel of its source, a fake in that of its target; all others are 0."""
    method = build("remic")
    batch, given = uneven(method), []
    method.generator.content_encoder.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].detach()))
    fakes = method.fakes(batch)
    method.generator_terms(batch, fakes)
    assert len(given) == 2
    for inputs, image, kind in zip(given, (batch.image, fakes["image"]), (batch.source, batch.target), strict=True):
        expected = torch.zeros(6, 3, 64, 64)
        expected[torch.arange(6), kind] = image[:, 0].detach()
        assert torch.equal(inputs, expected)


def test_slices_pass_through_the_networks_of_their_own_modality():
    method = build("remic")
    batch, generator = uneven(method), method.generator
    with torch.no_grad():
        content, style = generator.content(batch.image, batch.source), torch.randn(6, 8)
        made, found = generator.decode(content, style, batch.target), generator.style(batch.image, batch.source)
        for row, (source, target) in enumerate(zip(batch.source.tolist(), batch.target.tolist(), strict=True)):
            one = slice(row, row + 1)
            alone = torch.tanh(generator.decoders[target](content[one], style[one]))
            torch.testing.assert_close(made[one], alone, atol=1e-5, rtol=1e-4)
            alone = generator.style_encoders[source](batch.image[one])
            torch.testing.assert_close(found[one], alone, atol=1e-5, rtol=1e-4)


def test_random_styles_are_standard_normal_and_drawn_by_the_cpus_generator():
    method = build("remic")
    batch = uneven(method)
    torch.manual_seed(4)
    expected = torch.randn(6, 8)
    torch.manual_seed(4)
    first, second = method.fakes(batch), method.fakes(batch)
    assert torch.equal(first["style"], expected)
    assert not torch.allclose(first["image"], second["image"], atol=1e-3)


def test_the_segmentation_is_of_the_content_of_real_slices():
    method = build("remic")
    batch, generator = uneven(method), method.generator
    fakes = method.fakes(batch)
    terms = method.generator_terms(batch, fakes)
    for network, moved in (
        (generator.content_encoder, True),
        (generator.segmenter, True),
        (generator.style_encoders, False),
        (generator.decoders, False),
        (method.critics, False),
    ):
        gradients = torch.autograd.grad(
            terms["segmentation"], list(network.parameters()), retain_graph=True, allow_unused=True
        )
        assert all(g is not None and bool(g.any()) for g in gradients) == moved
        assert any(g is not None for g in gradients) == moved

    other = {**fakes, "image": fakes["image"].flip(0)}
    assert method.generator_terms(batch, other)["segmentation"] == terms["segmentation"]
    other = {**fakes, "content": fakes["content"].flip(0)}
    assert method.generator_terms(batch, other)["segmentation"] != terms["segmentation"]

    with torch.no_grad():
        found = method.segment(generator, batch.image, batch.source)
        code = generator.content(batch.image, batch.source)
        torch.testing.assert_close(found, torch.sigmoid(generator.segmenter(code)))
        generator.content_encoder.register_forward_hook(lambda module, inputs, output: output.flip(0))
        flipped = method.segment(generator, batch.image, batch.source)
        torch.testing.assert_close(flipped, found.flip(0), atol=1e-5, rtol=1e-4)


def test_translates_with_style_zero_and_without_chance():
    method = build("remic")
    batch, generator = uneven(method), method.generator
    with torch.no_grad():
        for decoder in generator.decoders:  # as after training; at first, style 0 leaves out every norm
            for layer in (decoder.norms[0], decoder.norms[2], decoder.norms[4]):
                nn.init.normal_(layer.bias)
        before = torch.get_rng_state()
        found = method.translate(generator, batch.image, batch.source, batch.target)
        assert torch.equal(torch.get_rng_state(), before)
        content = generator.content(batch.image, batch.source)
        torch.testing.assert_close(found, generator.decode(content, torch.zeros(6, 8), batch.target))
        other = method.translate(generator, batch.image, (batch.source + 1) % 3, batch.target)
    assert not torch.allclose(found, other, atol=1e-3)


def test_the_critics_step_before_the_generator_on_the_same_fakes():
    """As the critics learn first, the generator is judged by critics that have seen these very fakes."""
    method = build("remic", learning_rate=1e-2)
    batch, before = uneven(method), copy.deepcopy(method)
    trainer = Trainer(method, method.settings, rounds=10)
    torch.manual_seed(6)
    played = trainer.step(batch)
    assert list(played) == ["critics", "generator"]

    torch.manual_seed(6)
    fakes = before.fakes(batch)
    torch.testing.assert_close(played["critics"]["critic"], before.critic_terms(batch, fakes)["critic"].detach())
    innocent = before.generator_terms(batch, fakes)
    before.critics.load_state_dict(method.critics.state_dict())
    judged = before.generator_terms(batch, fakes)
    for name, term in played["generator"].items():
        torch.testing.assert_close(term, judged[name].detach(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(played["generator"]["adversarial"], innocent["adversarial"], atol=1e-3)


def test_the_content_of_fakes_is_drawn_to_the_content_of_slices_from_both_sides():
    """As in MUNIT, neither code is held still; own codes alone make the image consistency."""
    method = build("remic")
    batch = uneven(method)
    fakes = method.fakes(batch)
    terms = method.generator_terms(batch, fakes)
    (gradient,) = torch.autograd.grad(terms["content"], fakes["content"], retain_graph=True)
    count = fakes["content"][0].numel()
    generator = method.generator
    fake = fakes["image"].detach().requires_grad_()
    again = F.l1_loss(generator.content(fake, batch.target), fakes["content"].detach(), reduction="none")
    (through_the_fake,) = torch.autograd.grad(again.sum() / (2 * count), fake)
    (through_the_code,) = torch.autograd.grad(fakes["image"], fakes["content"], through_the_fake, retain_graph=True)
    difference = generator.content(fakes["image"], batch.target) - fakes["content"]
    held = -difference.detach().sign() / (2 * count)
    torch.testing.assert_close(gradient, through_the_code + held, atol=1e-8, rtol=1e-3)
