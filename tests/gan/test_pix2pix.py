"""pix2pix against NumPy, from the networks' outputs on; its networks; its steps."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.errors import InputError
from gan.methods.pix2pix import Pix2Pix, UNet, falling
from gan.trainer import Trainer
from tests.gan.paired import adversaries_and_distance, parameters, terms_of
from tests.gan.tiny import batch_for, build


def test_published_parameter_counts():
    with torch.device("meta"):
        published = Pix2Pix(*Pix2Pix.published, Pix2Pix.paper)
    first, last = 3 * 64 * 4 * 4, 1024 * 3 * 4 * 4  # MGAN's: the condition's maps, the classification
    assert parameters(published.generator) == 41_822_593 - first
    assert parameters(published.critic) == 11_203_520 - last


def test_every_term_by_hand():
    method = build("pix2pix")
    batch = batch_for(method)
    with torch.no_grad():
        fake = method.generator(batch.image)
    assert terms_of(method, batch) == pytest.approx(adversaries_and_distance(method, fake, batch), rel=1e-4)


def test_scores_and_distances_are_summed_over_a_slice_and_averaged_over_slices():
    class Stub(nn.Module):
        def forward(self, pair):
            real, source = pair.chunk(2, dim=1)
            return 3 * F.avg_pool2d(real, 32) + 5 * source.mean(), pair.new_zeros(len(pair), 0)

    method = build("pix2pix")
    method.critic = Stub()
    batch = batch_for(method)
    batch.truth.fill_(0.5)
    fake = torch.full_like(batch.truth, -0.25)
    critic, generator = method.players()
    found = critic.terms(batch, {"image": fake}) | generator.terms(batch, {"image": fake})
    patches, slope = 4, 3 / 32**2 * 64  # of the summed score: the norm over 64² pixels; that of the source is left out
    five = 5 * batch.image.mean().item()
    expected = {
        "critic": patches * 3 * (-0.25 - 0.5),
        "penalty": (slope - 1) ** 2,
        "adversarial": -patches * (3 * -0.25 + five),
        "l1": 0.75 * 64 * 64,
    }
    assert {name: term.item() for name, term in found.items()} == pytest.approx(expected, rel=1e-5)


def test_published_settings():
    s = Pix2Pix.paper
    assert (s.width, s.batch_size, s.epochs, s.rounds, s.downs) == (64, 64, 100, None, 7)
    assert s.weights == {"critic": 1, "penalty": 100, "adversarial": 1, "l1": 0.1}
    with torch.device("meta"):
        players = Pix2Pix(2, 128, s).players()
    assert [(p.name, p.every, p.anew, p.learning_rate, p.betas, p.schedule) for p in players] == [
        ("critic", 1, False, 2e-4, (0.9, 0.999), falling),
        ("generator", 1, False, 2e-4, (0.9, 0.999), falling),
    ]


@pytest.mark.parametrize("rounds_per_epoch", [1, 7, 123])
def test_learning_rate_falls_with_the_31st_61st_and_91st_epoch(rounds_per_epoch):
    n = rounds_per_epoch
    rates = [2e-4 * falling(k / (100 * n)) for k in range(100 * n)]
    expected = [2e-4] * 30 * n + [1e-4] * 30 * n + [5e-5] * 30 * n + [1e-5] * 10 * n
    assert rates == pytest.approx(expected)


def test_critic_and_generator_judge_the_same_fake_beside_its_source():
    method = build("pix2pix")
    batch = batch_for(method)
    trainer, seen = Trainer(method, method.settings, rounds=100), []
    with torch.no_grad():
        fake = method.generator(batch.image)
    method.critic.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach().clone()))
    assert list(trainer.step(batch)) == ["critic", "generator"]
    both, _, again = seen  # the critic's one pass, that of its penalty, and the generator's
    real, made = both.chunk(2)
    assert torch.equal(real, torch.cat([batch.truth, batch.image], dim=1))
    assert torch.equal(made, torch.cat([fake, batch.image], dim=1))
    assert torch.equal(again, made)


def nested(unet: UNet, image: torch.Tensor) -> torch.Tensor:
    """Run the U-Net from the outside in, as Isola et al. draw it."""

    def normalized(x):
        return (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(x.var((2, 3), keepdim=True, correction=0) + 1e-5)

    def level(x, number):
        down, up, last = unet.down[number], unet.up[-1 - number], len(unet.down) - 1
        if number == 0:
            return torch.tanh(up(F.relu(level(down(x), 1))))
        if number == last:
            inner = down(F.leaky_relu(x, 0.2))
        else:
            inner = level(normalized(down(F.leaky_relu(x, 0.2))), number + 1)
        return torch.cat([x, normalized(up(F.relu(inner)))], dim=1)

    return level(image, 0)


@pytest.mark.parametrize("downs", [2, 5, 6])
def test_unet_is_the_nested_one(downs):
    torch.manual_seed(2)
    unet, image = UNet(1, 4, downs), torch.randn(2, 1, 64, 64)
    for parameter in unet.parameters():
        nn.init.normal_(parameter, std=0.2)  # the published weights leave little to see
    torch.testing.assert_close(unet(image), nested(unet, image), rtol=1e-3, atol=1e-5)


def test_published_channels_and_initial_weights():
    method = build("mgan", 4, image_size=128, width=16, downs=7)
    unet, critic = method.generator, method.critic
    assert [layer.out_channels for layer in unet.down] == [16, 32, 64, 128, 128, 128, 128]
    assert [layer.in_channels for layer in unet.up] == [128, 256, 256, 256, 128, 64, 32]
    convolutions = [layer for layer in critic.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [16, 32, 64, 128, 256, 1, 3]
    assert {layer.negative_slope for layer in critic.modules() if isinstance(layer, nn.LeakyReLU)} == {0.01}
    for layer in [*unet.down, *unet.up]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not layer.bias.any()
    for layer in convolutions:
        fan_in = layer.in_channels * layer.kernel_size[0] ** 2
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
        assert layer.bias is None or not layer.bias.any()


def test_one_target_needs_no_condition_and_no_classification():
    method = build("pix2pix")
    assert method.generator.down[0].in_channels == 1
    assert method.critic.kind is None


@pytest.mark.parametrize(
    ("image_size", "downs", "message"),
    [
        (64, 7, "image_size: found 64, expected a multiple of 128 pixels, or fewer downs"),
        (64, 1, "downs: found 1, expected at least 2"),
        (48, 4, "image_size: found 48, expected a multiple of 32 pixels"),
    ],
)
def test_refuses_what_the_networks_cannot_be(image_size, downs, message):
    with pytest.raises(InputError, match=message):
        build("pix2pix", image_size=image_size, downs=downs)
