"""The benchmark plays every method, and its figures are those of what was seen."""

import json
import re
import sys

import pytest
import torch

from gan import bench
from gan.cost import Cost
from gan.errors import run
from gan.methods import METHODS
from gan.plain import Plain
from gan.trainer import Trainer
from tests.gan.tiny import build, entry, modalities

PUBLISHED = {"csgan": {"pretraining": METHODS["csgan"].paper.pretraining}}  # what `tiny` changes in a schedule


def measured(monkeypatch, capsys, name, *words, **more):
    settings = entry(name, **PUBLISHED.get(name, {}), **more)
    size = settings.pop("batch_size")
    command = ["gan.bench", "--method", name, "--size", 64, "--batch", size, "--settings", json.dumps(settings)]
    monkeypatch.setattr(sys, "argv", [*map(str, [*command, "--modalities", len(modalities(name)), *words])])
    run(bench.main)
    return json.loads(capsys.readouterr().out)


def begin(kind, name="stargan"):
    settings = build(name, **PUBLISHED.get(name, {})).settings
    return bench.Game(kind, name, settings, len(modalities(name)), 64)


@pytest.mark.parametrize("name", METHODS)
def test_every_player_steps_while_it_warms_up_and_no_term_weighs_nothing(name):
    game = begin(Trainer, name)
    assert game.record.seconds == []
    assert game.record.memory_gb > 0
    assert len(game.record.terms) == bench.WARM_UP
    for terms in game.record.terms:
        assert terms.keys() == game.trainer.method.settings.weights.keys()
    progress = game.trainer.round / game.trainer.rounds
    assert all(player.weight(term, progress) > 0 for player in game.trainer.players for term in player.ramps)


@pytest.mark.parametrize("name", ["targan", "stargan", "csgan"])
def test_a_method_is_measured_beside_plain(monkeypatch, capsys, name):
    found = measured(monkeypatch, capsys, name, "--cycles", 1)
    assert found["difference_of_terms"] < 1e-3
    assert found["seconds_per_round"] > 0
    assert found["plain_out_of_memory"] is found["tf32"] is False


@pytest.fixture
def clock(monkeypatch):
    """A round of the trainer takes 0.2 s, one of plain 0.3 s, and the device does 10¹² operations a second."""
    hour = [0.0]

    def step(seconds, term):
        def stepping(trainer, batch):
            hour[0] += seconds
            return {"player": {"small": torch.tensor(0.5), "large": torch.tensor(term)}}

        return stepping

    monkeypatch.setattr(bench.time, "perf_counter", lambda: hour[0])
    monkeypatch.setattr(Trainer, "step", step(0.2, 9.0))
    monkeypatch.setattr(Plain, "step", step(0.3, 10.0))
    monkeypatch.setattr(bench, "matmul_tflops", lambda device, dtype: 1.0)
    monkeypatch.setattr(bench, "cost", lambda *method: Cost({}, (), 5e10))


@pytest.mark.usefixtures("clock")
def test_figures_of_known_seconds(monkeypatch, capsys):
    found = measured(monkeypatch, capsys, "stargan", "--cycles", 3, batch_size=4)
    expected = {
        "rounds": 15,  # the generator steps on every fifth
        "seconds_per_round": 0.2,
        "slices_per_second": 20,
        "tflops": 0.5,
        "share_of_matmul": 0.5,
        "plain_seconds_per_round": 0.3,
        "ratio_to_plain": 1.5,
        "difference_of_terms": 0.1,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)


@pytest.mark.usefixtures("clock")
def test_plain_alone_is_compared_with_nothing(monkeypatch, capsys):
    found = measured(monkeypatch, capsys, "stargan", "--cycles", 2, "--plain")
    assert found["plain"] is True
    assert (found["rounds"], found["seconds_per_round"]) == (10, pytest.approx(0.3))
    assert "ratio_to_plain" not in found


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("together", [True, False])
def test_games_play_in_turns_or_one_after_the_other(together):
    begun = []

    def watched(kind):
        begun.append((kind, len(seen)))
        game = begin(kind)
        original = game.play
        game.play = lambda: (seen.append(kind), original())
        return game

    seen = []
    one, two = bench.beside_plain(watched, 2, together)
    assert seen == ([Trainer, Plain] * 2 if together else [Trainer] * 2 + [Plain] * 2)
    assert begun == [(Trainer, 0), (Plain, 0 if together else 2)]
    assert (one.seconds_per_round, two.seconds_per_round) == pytest.approx((0.2, 0.3))


@pytest.mark.usefixtures("clock")
def test_where_plain_runs_out_of_memory_its_figures_are_missing(monkeypatch):
    def full(trainer, batch):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Plain, "step", full)
    found = bench.ratio(*bench.beside_plain(begin, 1, together=False))
    assert found.pop("plain_out_of_memory") is True
    assert set(found.values()) == {None}


def test_the_peak_is_of_the_arithmetic_of_convolutions(monkeypatch):
    products, seen = torch.backends.cuda.matmul, []
    monkeypatch.setitem(bench.MATRIX, "cpu", 8)
    original = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: seen.append(products.allow_tf32) or original(a, b))
    for convolutions in (True, False):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", convolutions)
        assert bench.matmul_tflops(torch.device("cpu"), torch.float32) > 0
        assert products.allow_tf32 is False
    assert seen == [True] * 10 + [False] * 10


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--cycles", "0"], "--cycles: found 0, expected at least 1"),
        (["--settings", "[1]"], "--settings: found [1], expected a JSON object"),
        (["--settings", "{"], "--settings: found {, expected JSON ("),
        (["--settings", '{"devices": 2}'], "--settings: devices: found 2, expected 1: it measures one process"),
    ],
)
def test_what_cannot_be_measured_is_one_line(monkeypatch, words, error):
    command = ["gan.bench", "--method", "stargan", "--size", "64", "--batch", "4", *words]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=rf"^error: {re.escape(error)}"):
        run(bench.main)


def test_it_leases_a_gpu_before_it_asks_cuda(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gan.bench", "--method", "stargan", "--size", "64", "--batch", "4"])

    def leased():
        raise SystemExit("leased")

    monkeypatch.setattr(bench, "lease", leased)
    with pytest.raises(SystemExit, match="leased"):
        run(bench.main)
