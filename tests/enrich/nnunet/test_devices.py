"""nnU-Net's own DDP, in two real processes on the processor: its gradients, its draws, and a kill in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from enrich.nnunet.train import train
from gan.errors import InputError

from .study import write_published
from .test_train import SHORT, assert_same_training, epochs_logged, load

ROOT = Path(__file__).parents[3]
EXAMINED = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from enrich.nnunet import environment
from gan.processes import launch

preprocessed, results, devices = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
environment.configure(0, preprocessed=preprocessed.parents[1], results=results)
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from enrich.nnunet.trainer import repeatable

summary = json.loads(preprocessed.read_text())
plans = json.loads((preprocessed.parent / f"{summary['plans']}.json").read_text()) | {"continue_training": False}
dataset = json.loads((preprocessed.parent / "dataset.json").read_text())
fabric = launch(devices)
training = repeatable(nnUNetTrainer)(plans, summary["configuration"], "all", dataset, fabric.device)
training.seed, training.checkpoint_every = 0, 50
training.on_train_start()
network = getattr(training.network, "module", training.network)
before = torch.cat([weight.detach().flatten() for weight in network.parameters()])
training.on_epoch_start()
seed = torch.initial_seed()
training.on_train_epoch_start()
batch = next(training.dataloader_train)
training.train_step(batch)
after = torch.cat([weight.detach().flatten() for weight in network.parameters()])
seen = {"before": before, "data": batch["data"], "target": batch["target"], "after": after, "seed": seed}
torch.save(seen, results / f"rank{fabric.global_rank}.pt")
"""


def start(*words: object) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": os.fspath(ROOT)}
    return subprocess.Popen(list(map(str, (sys.executable, *words))), env=environment, stdout=subprocess.DEVNULL)


def start_training(preprocessed: Path, results: Path) -> subprocess.Popen[bytes]:
    options = [text for name, value in SHORT.items() for text in (f"--{name.replace('_', '-')}", value)]
    options += ["--devices", 2, "--preprocessed", preprocessed, "--results", results]
    return start("-m", "enrich.nnunet.train", *options)


@pytest.fixture(scope="module")
def uninterrupted(preprocessed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("uninterrupted")
    assert start_training(preprocessed, results).wait(timeout=300) == 0
    (final,) = results.rglob("checkpoint_final.pth")
    return final


def test_a_killed_training_on_two_continues_as_if_nothing_had_been(
    preprocessed: Path, uninterrupted: Path, tmp_path: Path
):
    process = start_training(preprocessed, tmp_path)
    try:
        while process.poll() is None and not list(tmp_path.rglob("checkpoint_latest.pth")):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (latest,) = tmp_path.rglob("checkpoint_latest.pth")
    assert not latest.with_name("checkpoint_final.pth").exists()
    time.sleep(1)
    assert start_training(preprocessed, tmp_path).wait(timeout=300) == 0
    final = latest.with_name("checkpoint_final.pth")
    first, second = epochs_logged(final.parent)
    assert first[0] == "0"
    assert second[0] != "0"
    assert_same_training(load(final), load(uninterrupted))


def test_a_training_on_two_is_no_training_on_one(preprocessed: Path, uninterrupted: Path, tmp_path: Path):
    shutil.copytree(uninterrupted.parents[2], tmp_path / "results")
    latest = tmp_path / "results" / uninterrupted.relative_to(uninterrupted.parents[2])
    latest.rename(latest.with_name("checkpoint_latest.pth"))
    final = train(preprocessed, tmp_path / "results", "all", **SHORT)
    assert epochs_logged(final.parent) == [["0", "1", "2"]]


def test_two_share_a_batch_and_step_together(preprocessed: Path, tmp_path: Path):
    for devices in (1, 2):
        (tmp_path / str(devices)).mkdir()
        code = tmp_path / "examined.py"
        code.write_text(EXAMINED)
        assert start(code, preprocessed, tmp_path / str(devices), devices).wait(timeout=300) == 0
    one = torch.load(tmp_path / "1/rank0.pt")
    first, second = (torch.load(tmp_path / f"2/rank{rank}.pt") for rank in range(2))
    assert len(first["data"]) + len(second["data"]) == len(one["data"])
    assert first["seed"] == one["seed"] != second["seed"]
    for moment in ("before", "after"):
        assert torch.equal(first[moment], second[moment])
    assert torch.equal(first["before"], one["before"])
    assert not torch.equal(first["after"], first["before"])


def test_more_devices_than_cases_in_a_batch_are_an_error(preprocessed: Path, tmp_path: Path):
    with pytest.raises(
        InputError, match=r"^--devices: found 1000, expected at most (\d+) for the batch of \1 of the plans$"
    ):
        train(preprocessed, tmp_path, "all", devices=1000)


def test_half_of_a_batch_can_only_be_synthetic_where_a_device_has_two_cases(preprocessed: Path, tmp_path: Path):
    shutil.copytree(preprocessed.parent, tmp_path / preprocessed.parent.name)
    copy = tmp_path / preprocessed.parent.name / preprocessed.name
    told = json.loads(copy.with_name("dataset.json").read_text())
    write_published(copy, "dataset.json", told | {"synthetic_cases": ["ct01"]})
    with pytest.raises(InputError, match=r"found 2, expected at most 1 for the batch of [23] of the plans, half of it"):
        train(copy, tmp_path, "all", devices=2)
