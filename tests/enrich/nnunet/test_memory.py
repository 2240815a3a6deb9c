"""Memory runs out in nnU-Net's training: under a limit, or as NumPy is asked for what no machine has."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from enrich.nnunet.train import train
from gan.errors import InputError
from tests.gan.test_memory import begin, finish

from .study import write_published
from .test_train import SHORT, assert_same_training, epochs_logged, load

LARGE = 1024  # patches, which LITTLE_MB beside nnU-Net do not hold, and an eighth of which they do
LITTLE_MB = 3000
MOST = 3  # cases of a batch that fit


@pytest.fixture
def planned(preprocessed: Path, tmp_path: Path):
    """Return a function that gives the dataset plans of another batch."""

    def write(batch: int) -> Path:
        folder = tmp_path / f"of{batch}" / preprocessed.parent.name
        shutil.copytree(preprocessed.parent, folder)
        plans = json.loads((folder / "nnUNetPlans.json").read_text())
        plans["configurations"]["2d"]["batch_size"] = batch
        return write_published(folder / preprocessed.name, "nnUNetPlans.json", plans)

    return write


@pytest.fixture
def short_of_memory(monkeypatch):
    """Let large batches run out of memory, and the step of a number be interrupted."""
    own, steps = nnUNetTrainer.train_step, []

    def step(self, batch):
        if len(batch["data"]) > MOST:
            np.empty(1 << 50)
        steps.append(len(batch["data"]))
        if len(steps) == SHORT["iterations"] + 2:
            raise KeyboardInterrupt
        return own(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(nnUNetTrainer, "train_step", step)
        yield


def test_a_batch_that_does_not_fit_is_named_with_its_patches(planned, short_of_memory, tmp_path: Path):
    expected = "a smaller nnunet.gpu_memory_gb, which plans anew or nnunet.auto_find_batch_size: true"
    message = rf"^nnU-Net's batch: found 8 patches of \d+×\d+, which did not fit into main memory, expected {expected}$"
    with pytest.raises(InputError, match=message):
        train(planned(8), tmp_path / "results", "all", **SHORT)


def test_where_allowed_the_training_is_that_of_a_smaller_batch_also_when_it_goes_on(
    planned, short_of_memory, tmp_path: Path, caplog, monkeypatch
):
    asked, results = planned(8), tmp_path / "results"
    with pytest.raises(KeyboardInterrupt):
        train(asked, results, "all", **SHORT, auto_find_batch_size=True)
    told = [message.partition(" patches")[0] + message.partition("memory")[2] for message in caplog.messages]
    assert told == ["8: starting afresh with 4", "4: starting afresh with 2"]
    monkeypatch.undo()
    final = train(asked, results, "all", **SHORT, auto_find_batch_size=True)
    assert epochs_logged(final.parent)[-1][0] == "1"
    found = load(final)
    assert found["init_args"]["settings"]["batch_size"] == 2
    assert found["init_args"]["plans"]["configurations"]["2d"]["batch_size"] == 8
    assert_same_training(found, load(train(planned(2), tmp_path / "asked", "all", **SHORT)))


def test_under_a_limit_batches_are_halved_until_one_fits(planned, tmp_path: Path):
    short = ["--epochs", 1, "--iterations", 1, "--validation-iterations", 1, "--augmentation-workers", 0]
    words = ["--preprocessed", planned(LARGE), "--results", tmp_path, *short, "--auto-find-batch-size"]
    process = begin("-m", "tests.gan.little_memory", *words, MODULE="enrich.nnunet.train", MEGABYTES=LITTLE_MB)
    told = re.findall(r"^(\d+) patches of .* did not fit .* with (\d+)$", "\n".join(finish(process)), re.MULTILINE)
    assert process.returncode == 0
    assert told[0][0] == str(LARGE)
    assert all(one[1] == other[0] for one, other in pairwise(told))
    (final,) = tmp_path.rglob("checkpoint_final.pth")
    assert load(final)["init_args"]["settings"]["batch_size"] == int(told[-1][1])
