"""Training as a program: files, interruption, errors. Every run is of a few rounds at width 8."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gan import checkpoint, train
from gan.batch import Draw, Slices
from gan.errors import InputError, run
from gan.methods import METHODS
from gan.sources import sources
from gan.trained import Trained
from tests.gan import tiny
from tests.gan.cache import seal_cache

SETTINGS = {
    "rounds": 7,
    "ema_decay": 0.5,
    "log_every": 2,
    "samples_every": 4,
    "checkpoint_every": 2,
}
everyone = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def call(monkeypatch):
    """Call the program; an error is a SystemExit that holds the one line."""

    def program(slices, output, name="stargan", seed=0, resume=False, **more):
        settings = json.dumps(tiny.entry(name, **SETTINGS | more) if name in METHODS else {})
        arguments = ["--slices", slices, "--method", name, "--settings", settings]
        arguments += ["--seed", seed, "--output", output, *(["--resume"] if resume else [])]
        pretrained = METHODS[name].pretrained if name in METHODS else {}
        for other in pretrained.values():
            if not (output.parent / other / "model.pt").exists():
                program(slices, output.parent / other, other)
        if pretrained:
            arguments += [
                "--pretrained",
                *(f"{n}={output.parent / other / 'model.pt'}" for n, other in pretrained.items()),
            ]
        monkeypatch.setattr(sys, "argv", ["gan.train", *map(str, arguments)])
        run(train.main)

    return program


@pytest.fixture
def interrupt(monkeypatch):
    """Let the training be interrupted when it asks for batch `at`; None lifts it."""
    original = Slices.batch

    def at(number):
        def batch(self, k, *arguments):
            if k == number:
                raise KeyboardInterrupt
            return original(self, k, *arguments)

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


def slices_for(make_slices, name):
    """Write slices as the method wants them."""
    aligned = METHODS[name].draw in (Draw.ALIGNED, Draw.STACKED)
    return make_slices(tiny.modalities(name), aligned=aligned)


@everyone
def test_writes_model_log_and_samples(make_slices, tmp_path, call, name):
    call(slices_for(make_slices, name), tmp_path / "out", name)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    sealed = {"model.pt", "model.pt.sha256", "log.csv", "log.csv.sha256"}
    assert found == sealed | {"samples/round_000004.png", "samples/round_000007.png"}

    log = pd.read_csv(tmp_path / "out/log.csv")
    assert log.columns.tolist() == ["round", "player", "term", "value"]
    assert set(log["term"]) == METHODS[name].paper.weights.keys()
    assert set(log["round"]) <= {2, 4, 5, 6}
    assert np.isfinite(log["value"]).all()

    saved = checkpoint.load(tmp_path / "out/model.pt")
    config = saved["config"]
    assert saved["round"] == 7
    assert (config["method"], config["seed"], config["settings"]["width"]) == (name, 0, 8)
    assert config["sources"].keys() >= {"gan/train.py", f"gan/methods/{name}.py"}
    assert config["slices"].keys() == {"slices.json", "index.csv", "images.npy", "targets.npy", "body.npy"}


@everyone
def test_resumes_bit_for_bit(make_slices, tmp_path, call, interrupt, name):
    slices, whole, broken = slices_for(make_slices, name), tmp_path / "whole", tmp_path / "broken"
    call(slices, whole, name)
    interrupt(5)
    with pytest.raises(KeyboardInterrupt):
        call(slices, broken, name, resume=True)
    assert checkpoint.load_unfinished(broken / "checkpoint.pt")["round"] == 4
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
        seal_cache(slices)
    if change.pop("sources", None):
        monkeypatch.setattr(train, "training_sources", lambda name: sources("gan.train"))
    call(slices, tmp_path / "out", resume=True, rounds=4, **change)
    assert "starting afresh" in caplog.text
    call(slices, tmp_path / "direct", rounds=4, **change)
    assert_same(checkpoint.load(tmp_path / "out/model.pt"), checkpoint.load(tmp_path / "direct/model.pt"))


@pytest.mark.parametrize("former", [{"config": {}, "round": 3}, "a broken file"])
def test_starts_afresh_from_a_checkpoint_of_another_version(make_slices, tmp_path, call, caplog, former):
    slices, unfinished = make_slices(), tmp_path / "out/checkpoint.pt"
    unfinished.parent.mkdir()
    if isinstance(former, dict):
        torch.save(former, unfinished)
    else:
        unfinished.write_text(former)
    caplog.set_level("INFO")
    call(slices, tmp_path / "out", resume=True, rounds=2)
    assert f"{unfinished}: found " in caplog.text
    assert "expected a checkpoint of gan.train: starting afresh" in caplog.text
    assert checkpoint.load(tmp_path / "out/model.pt")["round"] == 2


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
def test_the_saved_model_works_as_the_average_in_training(make_slices, tmp_path, call, monkeypatch, name):
    trainers = []
    original = train.play
    monkeypatch.setattr(train, "play", lambda trainer, *rest: (trainers.append(trainer), original(trainer, *rest)))
    call(slices_for(make_slices, name), tmp_path / "out", name)
    trained, trainer = Trained(tmp_path / "out/model.pt"), trainers[-1]
    names = list(tiny.modalities(name))
    assert (trained.modalities, trained.image_size) == (names, 64)
    assert trained.directions == (trainer.method.scope.directions(names) if trainer.method.translates else [])

    image = tiny.batch_for(trainer.method).image
    source = torch.zeros(len(image), dtype=torch.long)
    if trainer.method.translates:
        made = trained.translate(image, names[0], names[1])
        assert torch.equal(made, trainer.translate(image, source, source + 1))
        method = trainer.method
        now = method.translate(method.model, image, source, source + 1)  # ema_decay 0.5: the last round's is another
        assert (made - now).abs().max() > 1e-4
    if trainer.method.segments:
        assert torch.equal(trained.segment(image, names[0]), trainer.segment(image, source))


@pytest.mark.parametrize("name", ["stargan", "targan", "csgan"])
def test_exported_weights_work_as_the_model_and_name_nobody(make_slices, tmp_path, call, name):
    call(slices_for(make_slices, name), tmp_path / "out", name)
    path = tmp_path / "weights.safetensors"
    checkpoint.save_weights(checkpoint.load(tmp_path / "out/model.pt"), path)
    model, weights = Trained(tmp_path / "out/model.pt"), Trained(path)
    assert (weights.modalities, weights.image_size, weights.directions) == (
        model.modalities,
        model.image_size,
        model.directions,
    )
    image = tiny.batch_for(model.method).image
    assert torch.equal(weights.translate(image, *model.modalities[:2]), model.translate(image, *model.modalities[:2]))
    assert weights.config.keys() == {"method", "settings", "batch_size", "modalities", "image_size", "depth"}
    assert b"p0" not in path.read_bytes()[:4000]


def test_broken_weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    for content in (b"", b"no weights at all", b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match="something unreadable"):
            Trained(path)


aligned = pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if kind.draw is Draw.ALIGNED])


@aligned
def test_a_paired_method_refuses_unpaired_data_with_one_line(make_slices, tmp_path, call, name):
    first = next(iter(METHODS[name].pretrained.values()), name)
    expected = r"index\.csv: found no training slice known in ct and t1.*, expected scans of one case on one grid"
    with pytest.raises(SystemExit, match=expected) as error:
        call(make_slices(tiny.modalities(name)), tmp_path / "out", first)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


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
    seal_cache(slices)
    with pytest.raises(SystemExit, match=r"round 1, critic: found critic nan, .* expected finite losses"):
        call(slices, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.pt"))


def test_a_training_that_stopped_early_is_not_gone_on_with(make_slices, tmp_path, call, monkeypatch):
    slices = make_slices(("ct", "t1"), aligned=True)
    entry = {"rounds": 9, "samples_every": 1, "patience": 1, "learning_rate": 1.0}
    call(slices, tmp_path / "whole", "segan", **entry)
    whole = checkpoint.load(tmp_path / "whole/model.pt")
    assert whole["round"] < 9
    rename = Path.replace
    monkeypatch.setattr(
        Path,
        "replace",
        lambda self, to: (_ for _ in ()).throw(KeyboardInterrupt) if to.name == "model.pt" else rename(self, to),
    )
    with pytest.raises(KeyboardInterrupt):
        call(slices, tmp_path / "broken", "segan", **entry)
    monkeypatch.setattr(Path, "replace", rename)
    call(slices, tmp_path / "broken", "segan", resume=True, **entry)
    assert_same(whole, checkpoint.load(tmp_path / "broken/model.pt"))


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("stargan", {"patience": 2}, "stargan: patience: found 2, expected none, since it never segments"),
        ("csgan", {"patience": 2, "pretraining": 1}, "csgan: patience: found 2, expected none"),
        ("uagan", {"patience": 2}, "index.csv: found no watched patient, expected some, to stop early by"),
    ],
)
def test_early_stopping_that_cannot_be_is_refused_at_once(make_slices, tmp_path, call, name, entry, message):
    with pytest.raises(SystemExit, match=message):
        call(make_slices(tiny.modalities(name), watched=0), tmp_path / "out", name, **entry)
    assert not (tmp_path / "out").exists()
