"""Two processes with a part of the batch each train as one with all of it; real processes, float64, every method."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gan.batch import Draw
from gan.methods import METHODS
from tests.gan import tiny

ROOT = Path(__file__).parents[2]
EXCEPTED = {  # they normalize over the slices that a process has
    "segan": "batch norm",
    "conditional_segmentor": "batch norm",
    "tc_mgan_bw": "batch norm of the segmentor, which learns",
}
SAME = [name for name in METHODS if name not in EXCEPTED]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict[int, dict]:
    """Return what one and what two processes made of each method."""
    found = {}
    for devices in (1, 2):
        output = tmp_path_factory.mktemp("played") / "played.pt"
        command = [sys.executable, "-m", "tests.gan.parallel", str(devices), os.fspath(output), *METHODS]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found[devices] = torch.load(output)
    return found


def assert_close(one, two, where=""):
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_close(one[key], two[key], f"{where}/{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), where
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_close(a, b, f"{where}/{number}")
    elif isinstance(one, torch.Tensor):
        size = max(one.double().abs().max().item(), 1e-3) if one.numel() else 0
        assert torch.allclose(two, one, rtol=0, atol=1e-8 * size), (where, (one - two).abs().max(), size)
    elif isinstance(one, float):
        assert two == pytest.approx(one, rel=1e-8, abs=1e-11), where
    else:
        assert one == two, where


@pytest.mark.parametrize("name", SAME)
def test_the_gradients_of_every_player_are_those_of_one_process(played, name):
    one, two = (played[devices][name]["gradients"] for devices in (1, 2))
    assert one.keys() == {player.name for player in tiny.build(name).players()}
    assert_close(one, two)


@pytest.mark.parametrize("name", SAME)
def test_weights_averages_optimizers_and_logged_terms_after_five_rounds_are_those_of_one_process(played, name):
    one, two = (played[devices][name] for devices in (1, 2))
    for key in ("terms", "method", "averaged", "optimizers", "random"):
        assert_close(one[key], two[key], key)


@pytest.mark.parametrize("name", METHODS)
def test_the_processes_stay_in_step(played, name):
    assert played[2][name]["in step"]


def test_those_excepted_are_the_methods_whose_batch_norm_learns():
    normalizing = {
        name
        for name in METHODS
        if any(isinstance(layer, nn.BatchNorm2d) and layer.training for layer in tiny.build(name).modules())
    }
    assert normalizing == EXCEPTED.keys()


def test_a_part_holds_its_share_of_every_modality():
    for name, kind in METHODS.items():
        method = tiny.build(name)
        batch, kinds = tiny.batch_for(method), method.modalities if kind.draw is Draw.BALANCED else 1
        parts = [batch.part(number, 2, kinds) for number in range(2)]
        rows = [row for part in parts for row in part.image]
        assert len(parts[0].source) == len(parts[1].source) == len(batch.source) / 2
        assert all(sum(torch.equal(row, image) for row in rows) == 1 for image in batch.image)
        if kind.draw is Draw.BALANCED:
            assert torch.equal(parts[0].source, parts[1].source)
            assert torch.equal(parts[0].source, torch.arange(method.modalities))
