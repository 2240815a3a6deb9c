"""Training repeats bit for bit, and goes on after an interruption as if there had been none."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from pickle import UnpicklingError

import pytest
import torch

from enrich.nnunet.checkpoint import read_checkpoint as load
from enrich.nnunet.train import train
from gan.errors import InputError
from gan.files import seal
from tests.tampering import flipped, truncated

SHORT = {"epochs": 3, "iterations": 8, "validation_iterations": 1, "checkpoint_every": 1, "augmentation_workers": 0}


def losses(checkpoint: dict) -> dict:
    return {name: values for name, values in checkpoint["logging"].items() if not name.endswith("timestamps")}


def assert_same_training(first: dict, second: dict) -> None:
    assert first["network_weights"].keys() == second["network_weights"].keys()
    for name, weights in first["network_weights"].items():
        assert torch.equal(weights, second["network_weights"][name]), name
    for key, state in first["optimizer_state"]["state"].items():
        assert torch.equal(state["momentum_buffer"], second["optimizer_state"]["state"][key]["momentum_buffer"])
    assert losses(first) == losses(second)
    assert first["_best_ema"] == second["_best_ema"]
    assert first["current_epoch"] == second["current_epoch"] == SHORT["epochs"]


def epochs_logged(folder: Path) -> list[list[str]]:
    """Return the epochs of every start of a training, in order."""
    logs = sorted(folder.glob("training_log_*.txt"), key=lambda path: path.stat().st_mtime)
    return [re.findall(r": *Epoch (\d+)", path.read_text()) for path in logs]


@pytest.fixture(scope="module")
def uninterrupted(preprocessed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return load(train(preprocessed, tmp_path_factory.mktemp("uninterrupted"), "all", **SHORT))


@pytest.fixture(scope="module")
def killed(preprocessed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a training that was killed after its first checkpoint, and a file that the kill left half written."""
    results = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "enrich.nnunet.train", "--preprocessed", preprocessed, "--results", results]
    command += [text for name, value in SHORT.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(list(map(os.fspath, command)), env=environment, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not list(results.rglob("checkpoint_latest.pth")):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    (latest,) = results.rglob("checkpoint_latest.pth")
    assert not latest.with_name("checkpoint_final.pth").exists()
    latest.with_name(".1.checkpoint_best.pth").touch()
    return results


def test_training_repeats_bit_for_bit(preprocessed: Path, uninterrupted: dict, tmp_path: Path):
    assert_same_training(load(train(preprocessed, tmp_path, "all", **SHORT)), uninterrupted)


def test_the_blur_does_not_pick_its_algorithm_by_timing(uninterrupted: dict):
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import GaussianBlurTransform

    blur = GaussianBlurTransform(blur_sigma=(0.5, 1.0), benchmark=True)
    blur(image=torch.rand(1, 32, 32))
    assert blur.benchmark_use_fft == {}


def test_another_seed_is_another_training(preprocessed: Path, uninterrupted: dict, tmp_path: Path):
    other = load(train(preprocessed, tmp_path, "all", **SHORT, seed=1))
    assert losses(other)["train_losses"] != losses(uninterrupted)["train_losses"]


def test_a_killed_training_continues_as_if_nothing_had_been(
    preprocessed: Path, uninterrupted: dict, killed: Path, tmp_path: Path
):
    results = tmp_path / "results"
    shutil.copytree(killed, results)
    final = train(preprocessed, results, "all", **SHORT)
    first, second = epochs_logged(final.parent)
    assert first[0] == "0"
    assert second
    assert second[0] != "0"
    assert_same_training(load(final), uninterrupted)
    assert not final.with_name("checkpoint_latest.pth").exists()
    assert not list(final.parent.glob(".*"))


def test_a_checkpoint_of_other_settings_is_not_continued(preprocessed: Path, killed: Path, tmp_path: Path):
    results = tmp_path / "results"
    shutil.copytree(killed, results)
    final = train(preprocessed, results, "all", **SHORT | {"epochs": 2})
    assert epochs_logged(final.parent) == [["0", "1"]]


@pytest.mark.parametrize("damage", [flipped, truncated])
def test_a_broken_checkpoint_is_not_continued(preprocessed: Path, killed: Path, tmp_path: Path, damage):
    shutil.copytree(killed, tmp_path / "results")
    (latest,) = (tmp_path / "results").rglob("checkpoint_latest.pth")
    latest.write_bytes(damage(latest.read_bytes()))
    final = train(preprocessed, tmp_path / "results", "all", **SHORT)
    assert epochs_logged(final.parent) == [["0", "1", "2"]]


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_executed(preprocessed: Path, killed: Path, tmp_path: Path):
    """Neither in one that a training would go on from nor in one whose weights it would start from."""
    from enrich.nnunet.trainer import Repeatable

    results, executed = tmp_path / "results", tmp_path / "executed"
    shutil.copytree(killed, results)
    (latest,) = results.rglob("checkpoint_latest.pth")
    content = load(latest)
    torch.save(content | {"_best_ema": Payload(executed)}, tmp_path / "other.pth")
    (tmp_path / "other.pth").replace(latest)  # which is mapped: not to be written to
    with pytest.raises(InputError, match=r"checkpoint_latest\.pth: found something unreadable \(UnpicklingError\)"):
        train(preprocessed, results, "all", **SHORT)
    seal(latest)
    with pytest.raises(InputError, match=r"checkpoint_latest\.pth: found something unreadable"):
        train(preprocessed, tmp_path / "tuned", "all", **SHORT, pretrained=latest)
    training = object.__new__(Repeatable)
    training.was_initialized, training.device = True, torch.device("cpu")
    with pytest.raises(UnpicklingError):
        training.load_checkpoint(str(latest))  # nnU-Net's own loading
    assert not executed.exists()
    torch.load(latest, weights_only=False)
    assert executed.exists()
