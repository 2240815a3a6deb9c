"""CSGAN's terms against NumPy, its phases, who sees what in a round, and its training on volumes."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gan import checkpoint, train
from gan.batch import Batch, Draw, Slices
from gan.errors import InputError
from gan.methods.csgan import CSGAN, Critic, Generator, Segmentor
from gan.segmenter import Segmenter
from gan.settings import resolve
from gan.trained import Trained
from gan.trainer import Trainer
from gan.translator import Translator
from gan.volumes import Volumes, to_slices, to_volume
from tests.gan.test_volumes import write_scans

both = pytest.mark.parametrize("dimensions", [2, 3])
SCANS = {
    ("a", "ct"): ("train", range(9), 1.5),
    ("b", "ct"): ("train", range(5), 1.0),
    ("c", "t1"): ("train", range(8), 1.0),
    ("d", "ct"): ("watch", range(6), 1.0),
    ("e", "t1"): ("watch", range(20), 1.0),
}
TINY = {"width": 2, "dimensions": 3, "pretraining": 0, "log_every": 1, "samples_every": 2, "checkpoint_every": 2}


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def settings(**entry):
    return resolve(CSGAN.paper, CSGAN.official, {"width": 4, "pretraining": 0, **entry}, "csgan")


def csgan(dimensions: int = 3, **entry) -> CSGAN:
    torch.manual_seed(5)
    return CSGAN(2, 16, settings(dimensions=dimensions, **entry))


def batch_of(dimensions: int, seed: int = 3) -> Batch:
    """Two images of each modality, 8×16×16 or 16×16, with different targets."""
    generator, shape = torch.Generator().manual_seed(seed), (8, 16, 16)[3 - dimensions :]
    image = torch.rand(4, 1, *shape, generator=generator) * 2 - 1
    mask = (
        torch.rand(4, 1, *shape, generator=generator)
        < torch.tensor([0.1, 0.5, 0.3, 0.8]).view(-1, 1, *[1] * dimensions)
    ).float()
    source = torch.tensor([0, 0, 1, 1])
    return Batch(image, mask, torch.ones_like(mask), source, 1 - source)


def terms_of(method: CSGAN, batch: Batch) -> dict[str, float]:
    fakes = method.fakes(batch)
    return {name: term.item() for player in method.players() for name, term in player.terms(batch, fakes).items()}


def moved(method: CSGAN, before: CSGAN) -> set[str]:
    old = before.state_dict()
    return {name.split(".")[0] for name, value in method.state_dict().items() if not torch.equal(value, old[name])}


def cross_entropy(logits: torch.Tensor, mask: torch.Tensor) -> float:
    logits, target = logits.numpy().astype(float), mask.numpy()[:, 0]
    chosen = np.where(target == 1, logits[:, 1], logits[:, 0])
    return (np.log(np.exp(logits).sum(1)) - chosen).mean()


@both
def test_every_term_by_hand(dimensions):
    method, batch = csgan(dimensions), batch_of(dimensions)
    found = terms_of(method, batch)
    a, b = batch.image[:2], batch.image[2:]  # of modality A, 0, and of B, 1
    y_a, y_b = batch.target_mask[:2], batch.target_mask[2:]
    to_a, to_b = method.generators
    d_a, d_b = method.critics
    s_a, s_b = method.segmentors
    with torch.no_grad():
        fake_a, fake_b = to_a(b), to_b(a)
        back_a, back_b = to_a(fake_b), to_b(fake_a)
        score = {
            name: critic(image).numpy()
            for name, critic, image in (("a", d_a, a), ("b", d_b, b), ("fake_a", d_a, fake_a), ("fake_b", d_b, fake_b))
        }
        expected = {
            "adversarial": ((score["fake_a"] - 1) ** 2).mean() + ((score["fake_b"] - 1) ** 2).mean(),
            "cycle": np.abs((back_a - a).numpy()).mean() + np.abs((back_b - b).numpy()).mean(),
            "shape": cross_entropy(s_a(fake_a), y_b) + cross_entropy(s_b(fake_b), y_a),
            "critic": ((score["a"] - 1) ** 2).mean()
            + ((score["b"] - 1) ** 2).mean()
            + (score["fake_a"] ** 2).mean()
            + (score["fake_b"] ** 2).mean(),
            "segmentation_real": cross_entropy(s_a(a), y_a) + cross_entropy(s_b(b), y_b),
            "segmentation_synthetic": cross_entropy(s_a(fake_a), y_b) + cross_entropy(s_b(fake_b), y_a),
            "segmentation_reconstructed": cross_entropy(s_a(back_a), y_a) + cross_entropy(s_b(back_b), y_b),
        }
    assert found == pytest.approx(expected, rel=1e-4)
    assert len({round(value, 3) for value in expected.values()}) >= 6  # told apart, but shape and synthetic


def test_published_settings():
    s = CSGAN.paper
    assert (s.epochs, s.rounds, s.pretraining, s.batch_size, s.dimensions, s.patch) == (200, None, 0.5, 2, 3, None)
    assert (s.learning_rate, s.segmentor_learning_rate, s.ema_decay, s.patience) == (2e-4, 2e-4, 0, None)
    assert s.weights == {
        "adversarial": 1,
        "cycle": 10,
        "shape": 1,
        "critic": 0.5,
        "segmentation_real": 1,
        "segmentation_synthetic": 1,
        "segmentation_reconstructed": 1,
    }
    with torch.device("meta"):
        players = CSGAN(2, 112, s).players()
    assert [(p.name, p.learning_rate, p.betas, p.every, p.anew, p.clamp) for p in players] == [
        ("generators", 2e-4, (0.5, 0.999), 1, False, None),
        ("critics", 2e-4, (0.5, 0.999), 1, True, None),
        ("segmentors", 2e-4, (0.9, 0.999), 1, False, None),
    ]
    assert CSGAN.official == {}


@both
def test_parameter_counts(dimensions):
    w, k, k4 = 16, 3**dimensions, 4**dimensions
    down, up = [(16, 32), (32, 64), (64, 128)], [(128, 64), (64, 32), (32, 16)]
    generator = k * (w + w * w)
    generator += sum(k * (a * b + 2 * b * b) for a, b in down)
    generator += sum(k * (a * b + 2 * b * b + b * b) for a, b in up) + w + 1
    segmentor = k * (w + w * w) + 2 * w
    segmentor += sum(k * (a * b + b * b) + 2 * b for a, b in down)
    segmentor += sum(k * ((a + b) * b + b * b) + 2 * b for a, b in up) + 2 * w + 2
    critic = k4 * w + w + k4 * (w * 2 * w + 2 * w * 4 * w) + k * 4 * w + 1
    with torch.device("meta"):
        assert [parameters(kind(dimensions, w)) for kind in (Generator, Segmentor, Critic)] == [
            generator,
            segmentor,
            critic,
        ]
        method = CSGAN(2, 112, replace(CSGAN.paper, dimensions=dimensions))
    assert [parameters(player.network) for player in method.players()] == [2 * generator, 2 * critic, 2 * segmentor]
    assert parameters(method.model) == 2 * (generator + segmentor)
    if dimensions == 3:
        assert (generator, segmentor, critic) == (2_184_641, 1_459_602, 166_609)


def kinds(network: nn.Module, *wanted: type[nn.Module]) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, wanted)]


@both
def test_layers_that_parameter_counts_do_not_tell(dimensions):
    convolution, norm = ((nn.Conv2d, nn.InstanceNorm2d), (nn.Conv3d, nn.InstanceNorm3d))[dimensions - 2]
    pool = (nn.MaxPool2d, nn.MaxPool3d)[dimensions - 2]
    generator, segmentor, critic = (kind(dimensions, 4) for kind in (Generator, Segmentor, Critic))
    strides = [layer.stride[0] for layer in kinds(generator, convolution)]
    assert (strides.count(2), len(kinds(generator, norm)), len(kinds(generator, nn.ReLU))) == (3, 20, 20)
    assert {layer.stride[0] for layer in kinds(segmentor, convolution)} == {1}
    assert (len(kinds(segmentor, pool)), len(kinds(segmentor, nn.ReLU))) == (3, 14)
    assert not kinds(segmentor, norm, nn.GroupNorm, nn.BatchNorm2d, nn.BatchNorm3d)
    for network in (generator, segmentor):
        assert [(layer.mode, layer.scale_factor) for layer in kinds(network, nn.Upsample)] == [("nearest", 2)] * 3
        assert not kinds(network, nn.ConvTranspose2d, nn.ConvTranspose3d)
    assert len(kinds(critic, norm)) == 2
    assert [layer.negative_slope for layer in kinds(critic, nn.LeakyReLU)] == [0.2] * 3


@both
def test_first_weights(dimensions):
    method, convolution = csgan(dimensions), (nn.Conv2d, nn.Conv3d)[dimensions - 2]
    for network in (*method.generators, *method.critics):
        drawn = torch.cat([layer.weight.flatten() for layer in kinds(network, convolution)])
        assert drawn.std().item() == pytest.approx(0.02, rel=0.05)
    for network in method.segmentors:
        inside = kinds(network, convolution)[3]
        assert inside.weight.std().item() == pytest.approx((2 / inside.weight[0].numel()) ** 0.5, rel=0.1)
    for layer in kinds(method, convolution):
        assert layer.bias is None or not layer.bias.any()


@both
def test_skips_reach_the_same_level(dimensions):
    """What is at full resolution comes out there, though nothing gets through the middle."""
    for network in (Generator(dimensions, 4), Segmentor(dimensions, 4)):
        with torch.no_grad():
            for layer in (*network.layers[0].down[1:], *network.layers[0].enlarge):
                for parameter in layer.parameters():
                    parameter.zero_()
        image = batch_of(dimensions).image
        assert (network(image[:1]) - network(image[1:2])).abs().max() > 1e-3


@both
def test_a_patch_is_38_voxels_wide(dimensions):
    critic = Critic(dimensions, 4)
    for name, layer in list(critic.layers.named_children()):
        if isinstance(layer, nn.InstanceNorm2d | nn.InstanceNorm3d):
            critic.layers[int(name)] = nn.Identity()
    image = torch.zeros(1, 1, *[64] * dimensions, requires_grad=True)
    score = critic(image)
    assert score.shape == (1, 1, *[8] * dimensions)
    score[(0, 0, *[4] * dimensions)].backward()
    for axis in range(2, 2 + dimensions):
        reached = image.grad.movedim(axis, 0).flatten(1).any(dim=1).nonzero().flatten()
        assert (reached[-1] - reached[0] + 1).item() == 38


@both
def test_the_generators_step_first_and_the_others_see_what_they_then_make(dimensions):
    method, batch = csgan(dimensions, learning_rate=1e-2, segmentor_learning_rate=1e-2), batch_of(dimensions)
    old = copy.deepcopy(method)
    trainer, seen = Trainer(method, method.settings, rounds=10), {}

    def spying(player):
        def terms(batch, fakes):
            seen[player.name] = {name: fake.detach().clone() for name, fake in fakes.items()}
            return player.terms(batch, fakes)

        return replace(player, terms=terms)

    trainer.players = [spying(player) for player in trainer.players]
    played = trainer.step(batch)
    assert list(played) == ["generators", "critics", "segmentors"]
    assert moved(method, old) == {"generators", "critics", "segmentors"}

    with torch.no_grad():
        first = old.fakes(batch)
        expected = {"generators": old.generator_terms(batch, first)}
        half = copy.deepcopy(old)  # the generators have stepped, critics and segmentors have not
        half.generators.load_state_dict(method.generators.state_dict())
        then = half.fakes(batch)
        expected |= {"critics": half.critic_terms(batch, then), "segmentors": half.segmentor_terms(batch, then)}
    for name, fakes in (("generators", first), ("critics", then), ("segmentors", then)):
        for kind, fake in fakes.items():
            torch.testing.assert_close(seen[name][kind], fake)
    for kind in then:
        assert (first[kind] - then[kind]).abs().max() > 1e-3
    for name, terms in expected.items():
        for term, value in terms.items():
            torch.testing.assert_close(played[name][term], value, msg=term)


def schedule(method: CSGAN, epochs: int) -> dict[str, list[float]]:
    return {p.name: [p.schedule(epoch / epochs) for epoch in range(epochs)] for p in method.players()}


def test_the_published_phases_in_epochs():
    rates = schedule(csgan(pretraining=0.5), 200)
    assert rates["generators"] == rates["critics"]
    assert rates["generators"][:40] == [0] * 40
    assert rates["generators"][40:150] == [1] * 110  # 60 of pre-training, 50 together
    assert rates["segmentors"][:151] == [1] * 151
    for name in rates:
        assert rates[name][150:] == pytest.approx([(200 - epoch) / 50 for epoch in range(150, 200)])
    weights = {
        term: [p.weight(term, epoch / 200) for epoch in (0, 39, 40, 99, 100, 199)]
        for p in csgan(pretraining=0.5).players()
        for term in p.ramps
    }
    assert weights == {
        term: [0, 0, 0, 0, 1, 1] for term in ("shape", "segmentation_synthetic", "segmentation_reconstructed")
    }


def test_other_shares_of_pretraining():
    joint = schedule(csgan(pretraining=0), 10)
    for rates in joint.values():
        assert rates == pytest.approx([1] * 6 + [0.8, 0.6, 0.4, 0.2])
    apart = schedule(csgan(pretraining=1), 10)
    assert apart == {"generators": [0] * 4 + [1] * 6, "critics": [0] * 4 + [1] * 6, "segmentors": [1] * 10}


@both
def test_what_each_phase_moves(dimensions):
    method, batch = csgan(dimensions, pretraining=0.5), batch_of(dimensions)
    trainer = Trainer(method, method.settings, rounds=20)
    alone = Trainer(
        csgan(dimensions, weights={"shape": 0, "segmentation_synthetic": 0, "segmentation_reconstructed": 0}),
        method.settings,
        rounds=10_000,
    )
    names, before = ["segmentors"], copy.deepcopy(method)
    for done in range(11):
        if done == 4:
            assert moved(method, before) == {"segmentors"}
            names, before = ["generators", "critics", "segmentors"], copy.deepcopy(method)
            generators = {k: v.clone() for k, v in method.generators.state_dict().items()}
            assert all(torch.equal(v, csgan(dimensions).generators.state_dict()[k]) for k, v in generators.items())
        if done == 10:  # until here the segmentors have learned as if there were no generators
            learned = alone.method.segmentors.state_dict()
            for name, value in method.segmentors.state_dict().items():
                torch.testing.assert_close(value, learned[name])
            before = copy.deepcopy(method)
        assert list(trainer.step(batch)) == names
        alone.step(batch)
    assert moved(method, before) == {"generators", "critics", "segmentors"}
    learned = alone.method.segmentors.state_dict()
    assert any(not torch.allclose(v, learned[k]) for k, v in method.segmentors.state_dict().items())


@pytest.mark.parametrize(
    ("entry", "reads"), [({}, True), ({"weights": {"shape": 0}}, False), ({"pretraining": 1}, False)]
)
def test_without_shape_consistency_the_generators_read_no_labels(entry, reads):
    batch = batch_of(2)
    made = []
    for mask in (batch.target_mask, 1 - batch.target_mask):
        trainer = Trainer(csgan(2, **entry), settings(**entry), rounds=10)
        for _ in range(6):
            trainer.step(replace(batch, target_mask=mask))
        made.append(trainer.method)
    for one, other in zip(*(m.generators.parameters() for m in made), strict=True):
        assert torch.equal(one, other) != reads
    assert any(not torch.equal(*pair) for pair in zip(*(m.segmentors.parameters() for m in made), strict=True))


def test_wants_a_target_where_a_term_reads_it():
    assert csgan().settings.reads_target
    assert csgan(weights={"shape": 0}).settings.reads_target
    nothing = dict.fromkeys(("shape", "segmentation_real", "segmentation_synthetic", "segmentation_reconstructed"), 0)
    assert not csgan(weights=nothing).settings.reads_target


@both
def test_every_image_goes_through_the_network_of_its_modality(dimensions):
    method, image = csgan(dimensions), batch_of(dimensions).image
    wanted = torch.tensor([1, 0, 0, 1])
    with torch.no_grad():
        made = method.translate(method.model, image, 1 - wanted, wanted)
        found = method.segment(method.model, image, wanted)
        for place, kind in enumerate(wanted.tolist()):
            one = image[place : place + 1]
            torch.testing.assert_close(made[place : place + 1], method.generators[kind](one))
            logits = method.segmentors[kind](one)
            torch.testing.assert_close(found[place, 0], 1 / (1 + (logits[0, 0] - logits[0, 1]).exp()))


def test_learns_volumes():
    """The way there and back and the segmentation improve within a few rounds; the critics are out of play."""
    entry = {"learning_rate": 5e-3, "segmentor_learning_rate": 5e-3, "weights": {"adversarial": 0}}
    method, batch = csgan(3, **entry), batch_of(3)
    smooth = torch.nn.functional.avg_pool3d(batch.image, 5, stride=1, padding=2) * 3
    batch = replace(batch, image=smooth.clamp(-1, 1), target_mask=(smooth > 0.2).float())
    trainer, before = Trainer(method, method.settings, rounds=1000), terms_of(method, batch)
    for _ in range(40):
        trainer.step(batch)
    after = terms_of(method, batch)
    for term in ("cycle", "shape", "segmentation_real", "segmentation_synthetic", "segmentation_reconstructed"):
        assert after[term] < before[term] / 2, term


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dimensions": 4}, "csgan: dimensions: found 4, expected 2 or 3"),
        ({"patch": 20}, "csgan: patch: found 20, expected a multiple of 8 from 16 to the image_size 32"),
        ({"patch": 8}, "csgan: patch: found 8, expected a multiple of 8 from 16"),
        ({"patch": 40}, "csgan: patch: found 40"),
        ({"patch": 16, "dimensions": 2}, "csgan: patch: found 16, expected none in two dimensions"),
        ({"pretraining": 1.2}, "csgan: pretraining: found 1.2, expected at most 1"),
    ],
)
def test_refuses_what_cannot_be(entry, message):
    with pytest.raises(InputError, match=message):
        CSGAN(2, 32, settings(**entry))


def test_draws_volumes_or_slices(tmp_path):
    slices = Slices(write_scans(tmp_path / "slices", SCANS))
    assert csgan(2).view(slices) is slices
    assert isinstance(csgan(3).view(slices), Volumes)
    assert csgan(3).view(slices).batch(0, 2, 0, Draw.BALANCED).image.shape == (2, 1, 16, 24, 24)
    assert csgan(3, patch=16).view(slices).batch(0, 2, 0, Draw.BALANCED).image.shape == (2, 1, 16, 16, 16)


def run(slices, output, resume=False, **entry):
    chosen = resolve(CSGAN.paper, {}, TINY | entry, "csgan")
    train.train(Slices(slices), "csgan", chosen, 0, output, {}, resume)
    return checkpoint.load(output / "model.pt")


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.fixture
def slices(tmp_path):
    return write_scans(tmp_path / "slices", SCANS)


@pytest.fixture
def interrupt(monkeypatch):
    """Let the training be interrupted when it asks for batch `at`."""
    original = Slices.batch

    def at(number):
        def batch(self, k, *arguments):
            if k == number:
                raise KeyboardInterrupt
            return original(self, k, *arguments)

        monkeypatch.setattr(Slices, "batch", batch)

    return at


@pytest.mark.parametrize("entry", [{}, {"patch": 16}, {"pretraining": 0.5}])
def test_trains_on_volumes_and_resumes_bit_for_bit(slices, tmp_path, interrupt, entry):
    whole = run(slices, tmp_path / "whole", rounds=6, **entry)
    log = pd.read_csv(tmp_path / "whole/log.csv")
    assert set(log["term"]) == CSGAN.paper.weights.keys()
    assert np.isfinite(log["value"]).all()
    assert len(list((tmp_path / "whole/samples").iterdir())) == 3
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        run(slices, tmp_path / "broken", rounds=6, **entry)
    interrupt(0)
    torch.manual_seed(99)
    assert same(run(slices, tmp_path / "broken", resume=True, rounds=6, **entry), whole)
    assert (tmp_path / "broken/log.csv").read_bytes() == (tmp_path / "whole/log.csv").read_bytes()


def test_an_epoch_goes_through_the_scans_of_the_modality_with_more(slices, tmp_path):
    assert run(slices, tmp_path / "out", epochs=2)["round"] == 4


def test_early_stopping_waits_for_the_end_of_the_pretraining(slices, tmp_path, monkeypatch):
    rounds, original = [], Trainer.watch
    monkeypatch.setattr(
        Trainer, "watch", lambda trainer, batches: rounds.append(trainer.round) or original(trainer, batches)
    )
    run(slices, tmp_path / "out", rounds=12, pretraining=0.5, patience=9, dimensions=2)
    assert rounds == [8, 10, 12]


@both
def test_early_stopping_keeps_the_best(tmp_path, interrupt, monkeypatch, dimensions):
    shallow = {scan: (kind, numbers[:8], 1.0) for scan, (kind, numbers, _) in SCANS.items()}
    slices = write_scans(tmp_path / "slices", shallow)
    entry = {"dimensions": dimensions, "rounds": 60, "patience": 2, "segmentor_learning_rate": 0.06}
    monkeypatch.setattr(train, "save_grid", lambda *picture: None)
    checks, original = [], Trainer.watch

    def watch(trainer, batches):
        loss = original(trainer, batches)
        checks.append((loss, {name: value.clone() for name, value in trainer.averaged.state_dict().items()}))
        return loss

    monkeypatch.setattr(Trainer, "watch", watch)
    whole = run(slices, tmp_path / "whole", **entry)
    losses = [loss for loss, _ in checks]
    best = int(np.argmin(losses))
    assert best == len(losses) - 3
    assert whole["round"] == 2 * len(losses) < 60
    assert best > 0
    assert same(dict(whole["averaged"]), checks[best][1])
    assert not same(dict(whole["averaged"]), checks[-1][1])
    trained, watched = Trained(tmp_path / "whole/model.pt"), Slices(slices)
    data = trained.method.view(watched)
    by_hand = [
        -np.log(np.where(batch.target_mask == 1, found := trained.segment(batch.image, name).numpy(), 1 - found)).mean()
        for batch in data.watch_batches(1, Draw.BALANCED)
        for name in [trained.modalities[batch.source.item()]]
    ]
    assert losses[best] == pytest.approx(np.mean(by_hand), rel=1e-4)

    interrupt(2 * best + 3)  # between the best check and the last
    with pytest.raises(KeyboardInterrupt):
        run(slices, tmp_path / "broken", **entry)
    interrupt(0)
    assert same(run(slices, tmp_path / "broken", resume=True, **entry), whole)


def test_what_is_trained_works_on_whole_stacks(slices, tmp_path):
    run(slices, tmp_path / "one", rounds=1)
    run(slices, tmp_path / "two", rounds=2)
    paths = [tmp_path / "one/model.pt", tmp_path / "two/model.pt"]
    stack = np.random.default_rng(0).uniform(-1, 1, (7, 1, 24, 24)).astype(np.float32)
    one, two = map(Trained, paths)
    volume = to_volume(torch.from_numpy(stack), 1.7)
    translator, segmenter = Translator(paths[:1]), Segmenter(paths)
    made = translator.translate(stack, "ct", "t1", batch_size=2, slice_over_pixel=1.7)
    assert made.shape == stack.shape
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, to_slices(one.translate(volume, "ct", "t1"), 7, 1.7).numpy())
    assert np.abs(made - translator.translate(stack, "ct", "t1")).max() > 1e-3
    found = segmenter.segment(stack, "t1", batch_size=2, slice_over_pixel=1.7)
    assert found.shape == (7, 24, 24)
    mean = sum(to_slices(part.segment(volume, "t1"), 7, 1.7)[:, 0].numpy() / 2 for part in (one, two))
    np.testing.assert_allclose(found, mean, atol=1e-6)
    assert translator.translate(stack[:0], "ct", "t1", slice_over_pixel=1.7).shape == (0, 1, 24, 24)
    assert segmenter.segment(stack[:0], "ct").shape == (0, 24, 24)


def test_slices_do_not_mind_their_distance(slices, tmp_path):
    run(slices, tmp_path / "out", rounds=1, dimensions=2)
    stack = np.random.default_rng(0).uniform(-1, 1, (5, 1, 24, 24)).astype(np.float32)
    translator, segmenter = Translator([tmp_path / "out/model.pt"]), Segmenter([tmp_path / "out/model.pt"])
    made = translator.translate(stack, "ct", "t1", batch_size=2, slice_over_pixel=1.7)
    np.testing.assert_allclose(made, translator.translate(stack, "ct", "t1"), atol=1e-6)
    np.testing.assert_allclose(made[3:4], translator.translate(stack[3:4], "ct", "t1"), atol=1e-6)
    np.testing.assert_allclose(segmenter.segment(stack, "ct", 2, 1.7), segmenter.segment(stack, "ct"), atol=1e-6)
