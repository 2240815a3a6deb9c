"""Training as a program of two processes: the files, a kill in between, sizes that cannot be shared."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from gan import checkpoint
from tests.gan import tiny

ROOT = Path(__file__).parents[2]
SETTINGS = {"rounds": 24, "log_every": 1, "samples_every": 12, "checkpoint_every": 4, "batch_size": 4, "devices": 2}


def start(slices: Path, output: Path, name: str = "stargan", **more: object) -> subprocess.Popen[str]:
    settings = json.dumps(tiny.entry(name, **SETTINGS | more))
    command = [sys.executable, "-m", "gan.train", "--slices", slices, "--method", name, "--settings", settings]
    return subprocess.Popen(
        [*map(str, command), "--output", os.fspath(output), "--resume"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "2", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train"},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said[-3000:]
    return said


def assert_same(one, two):
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_same(one[key], two[key])
    elif isinstance(one, list):
        for a, b in zip(one, two, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
    else:
        assert one == two


def test_a_training_on_two_writes_what_one_writes_and_goes_on_after_a_kill_as_if_there_had_been_none(
    make_slices, tmp_path
):
    slices = make_slices()
    finish(start(slices, tmp_path / "whole"))
    broken = start(slices, tmp_path / "broken")
    while broken.poll() is None and not (tmp_path / "broken/checkpoint.pt").exists():
        time.sleep(0.01)
    broken.send_signal(signal.SIGKILL)
    broken.communicate(timeout=20)  # waits until the second process, which has the same standard error, has ended too
    assert not (tmp_path / "broken/model.pt").exists()
    said = finish(start(slices, tmp_path / "broken"))
    assert said.count("going on after round") == 1

    found = sorted(path.relative_to(tmp_path / "whole").as_posix() for path in (tmp_path / "whole").rglob("*.*"))
    pictures = ["samples/round_000012.png", "samples/round_000024.png"]
    assert found == ["log.csv", "log.csv.sha256", "model.pt", "model.pt.sha256", *pictures]
    assert_same(*(checkpoint.load(tmp_path / name / "model.pt") for name in ("whole", "broken")))
    for name in ("log.csv", *pictures):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()

    finish(start(slices, tmp_path / "alone", devices=1))
    two, one = (pd.read_csv(tmp_path / name / "log.csv") for name in ("whole", "alone"))
    assert two[["round", "player", "term"]].equals(one[["round", "player", "term"]])
    early = one["round"] <= 5
    assert two["value"][early].to_numpy() == pytest.approx(one["value"][early].to_numpy(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "expected"), [("stargan", 3, "a multiple of 2"), ("remic", 3, "a multiple of 6")]
)
def test_a_batch_that_cannot_be_shared_is_an_error(make_slices, tmp_path, name, size, expected):
    process = start(make_slices(), tmp_path / "out", name, batch_size=size)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == f"error: batch_size: found {size}, expected {expected}, for 2 devices\n"
