"""Training as a program: files, interruption, errors. Every run is of a few rounds at width 8."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from gan import checkpoint, train
from gan.batch import Slices
from gan.errors import run
from gan.methods import METHODS
from gan.sources import sources
from gan.translator import load

SETTINGS = {
    "width": 8,
    "rounds": 7,
    "batch_size": 3,
    "ema_decay": 0.5,
    "log_every": 2,
    "samples_every": 4,
    "checkpoint_every": 2,
}
everyone = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def call(monkeypatch):
    """Call the program; an error is a SystemExit that holds the one line."""

    def program(slices, output, name="stargan", seed=0, resume=False, **entry):
        arguments = ["--slices", slices, "--method", name, "--settings", json.dumps(SETTINGS | entry)]
        arguments += ["--seed", seed, "--output", output, *(["--resume"] if resume else [])]
        monkeypatch.setattr(sys, "argv", ["gan.train", *map(str, arguments)])
        run(train.main)

    return program


@pytest.fixture
def interrupt(monkeypatch):
    """Let the training be interrupted when it asks for batch `at`; None lifts it."""
    original = Slices.batch

    def at(number):
        def batch(self, k, size, seed):
            if k == number:
                raise KeyboardInterrupt
            return original(self, k, size, seed)

        monkeypatch.setattr(Slices, "batch", batch)

    return at


def assert_same(a, b):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@everyone
def test_writes_model_log_and_samples(make_slices, tmp_path, call, name):
    call(make_slices(), tmp_path / "out", name)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"model.pt", "log.csv", "samples/round_000004.png", "samples/round_000007.png"}

    log = pd.read_csv(tmp_path / "out/log.csv")
    assert log.columns.tolist() == ["round", "player", "term", "value"]
    assert set(log["term"]) == METHODS[name].paper.weights.keys()
    assert set(log.loc[log["term"].str.startswith("penalty"), "round"]) == {2, 4, 6}
    assert np.isfinite(log["value"]).all()

    saved = checkpoint.load(tmp_path / "out/model.pt")
    config = saved["config"]
    assert saved["round"] == 7
    assert (config["method"], config["seed"], config["settings"]["width"]) == (name, 0, 8)
    assert config["sources"].keys() >= {"gan/train.py", f"gan/methods/{name}.py"}
    assert config["slices"].keys() == {"slices.json", "index.csv", "images.npy", "targets.npy", "body.npy"}


@everyone
def test_resumes_bit_for_bit(make_slices, tmp_path, call, interrupt, name):
    slices, whole, broken = make_slices(), tmp_path / "whole", tmp_path / "broken"
    call(slices, whole, name)
    interrupt(5)
    with pytest.raises(KeyboardInterrupt):
        call(slices, broken, name, resume=True)
    assert checkpoint.load(broken / "checkpoint.pt")["round"] == 4
    assert not (broken / "model.pt").exists()
    torch.manual_seed(99)
    interrupt(0)  # starting afresh would be seen
    call(slices, broken, name, resume=True)

    assert not (broken / "checkpoint.pt").exists()
    assert_same(checkpoint.load(whole / "model.pt"), checkpoint.load(broken / "model.pt"))
    for file in ("log.csv", "samples/round_000004.png", "samples/round_000007.png"):
        assert (whole / file).read_bytes() == (broken / file).read_bytes(), file


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 5e-4}, {"slices": "other"}, {"sources": "other"}])
def test_starts_afresh_if_anything_differs(make_slices, tmp_path, call, interrupt, caplog, monkeypatch, change):
    slices, change = make_slices(), dict(change)
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        call(slices, tmp_path / "out", rounds=4)
    interrupt(None)
    caplog.set_level("INFO")
    if change.pop("slices", None):
        images = np.load(slices / "images.npy")
        np.save(slices / "images.npy", images * np.float16(0.5))
    if change.pop("sources", None):
        monkeypatch.setattr(train, "training_sources", lambda name: sources("gan.train"))
    call(slices, tmp_path / "out", resume=True, rounds=4, **change)
    assert "starting afresh" in caplog.text
    call(slices, tmp_path / "direct", rounds=4, **change)
    assert_same(checkpoint.load(tmp_path / "out/model.pt"), checkpoint.load(tmp_path / "direct/model.pt"))


def test_an_edit_during_the_training_leaves_no_model(make_slices, tmp_path, call, monkeypatch):
    slices, original = make_slices(), train.play

    def edited_meanwhile(*arguments):
        original(*arguments)
        monkeypatch.setattr(train, "training_sources", lambda name: sources("gan.train"))

    monkeypatch.setattr(train, "play", edited_meanwhile)
    with pytest.raises(SystemExit, match="sources that changed during the training"):
        call(slices, tmp_path / "out", rounds=4)
    assert not (tmp_path / "out/model.pt").exists()


def test_without_resume_starts_afresh(make_slices, tmp_path, call, interrupt):
    slices = make_slices()
    interrupt(5)
    with pytest.raises(KeyboardInterrupt):
        call(slices, tmp_path / "out")
    interrupt(0)
    with pytest.raises(KeyboardInterrupt):
        call(slices, tmp_path / "out")
    assert not list((tmp_path / "out/samples").iterdir())


@everyone
def test_the_saved_model_translates_as_the_average_in_training(make_slices, tmp_path, call, monkeypatch, name):
    trainers = []
    original = train.play
    monkeypatch.setattr(train, "play", lambda trainer, *rest: (trainers.append(trainer), original(trainer, *rest)))
    slices = make_slices()
    call(slices, tmp_path / "out", name)
    translator = load(tmp_path / "out/model.pt")
    assert (translator.modalities, translator.image_size) == (["ct", "t1", "t2"], 64)

    images = np.load(slices / "images.npy")[:5, None].astype(np.float32)
    made = translator.translate(images, "ct", "t2", batch_size=2)
    assert (made.shape, made.dtype) == (images.shape, np.float32)
    assert np.abs(made).max() <= 1
    source = torch.zeros(5, dtype=torch.long)
    wanted = trainers[0].translate(torch.from_numpy(images), source, source + 2)
    np.testing.assert_allclose(made, wanted.numpy(), atol=1e-4)  # another batch size, other floats
    now = trainers[0].method.translate(trainers[0].method.generator, torch.from_numpy(images), source, source + 2)
    if name == "targan":  # ema_decay 0.5: the generator of the last round is another
        assert np.abs(made - now.detach().numpy()).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "nogan"}, "--method: found nogan, expected targan or stargan"),
        ({"widht": 8}, "stargan: widht: found an unknown key"),
        ({"batch_size": 13}, "index.csv: found 12 training slices, expected at least one batch of 13"),
        ({"name": "targan", "width": 6}, "targan: width: found 6, expected a multiple of 4"),
    ],
)
def test_one_line_for_a_bad_call(make_slices, tmp_path, call, change, message):
    with pytest.raises(SystemExit, match=message) as error:
        call(make_slices(), tmp_path / "out", **change)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_settings_must_be_a_json_object(make_slices, tmp_path, monkeypatch, text):
    arguments = ["--slices", make_slices(), "--method", "stargan", "--settings", text, "--output", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["gan.train", *map(str, arguments)])
    with pytest.raises(SystemExit, match="--settings"):
        run(train.main)


def test_an_empty_target_everywhere(make_slices, tmp_path, call):
    slices = make_slices(targets=False)
    with pytest.raises(SystemExit, match=r"targets.npy: found no target in any training slice"):
        call(slices, tmp_path / "out", "targan")
    call(slices, tmp_path / "out", "stargan")


def test_a_loss_that_is_not_finite(make_slices, tmp_path, call):
    slices = make_slices()
    np.save(slices / "images.npy", np.load(slices / "images.npy") * np.float16("nan"))
    with pytest.raises(SystemExit, match=r"round 1, critic: found critic nan, .* expected finite losses"):
        call(slices, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.pt"))
