"""SIGTERM: nnU-Net's training saves what its epoch began with and goes on to the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gan import preemption

from .test_train import assert_same_training, epochs_logged, load, uninterrupted

__all__ = ["uninterrupted"]
SHORT = {"epochs": 3, "iterations": 8, "validation_iterations": 1, "checkpoint_every": 50}


def start(preprocessed: Path, results: Path, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "enrich.nnunet.train", "--preprocessed", preprocessed, "--results", results]
    for name, value in (SHORT | options).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(os.fspath, command)), env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]


def told_to_end(process: "subprocess.Popen[str]", results: Path, pattern: str, text: str) -> str:
    """Tell a training and all its processes to end once its log says `text`; return what it said."""
    while process.poll() is None and not any(text in path.read_text() for path in results.rglob(pattern)):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)
    return process.communicate(timeout=100)[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_that_is_told_to_end_goes_on_to_the_same_bits(
    preprocessed: Path, uninterrupted: dict, tmp_path: Path, workers: int
):
    process = start(preprocessed, tmp_path, augmentation_workers=workers)
    said = told_to_end(process, tmp_path, "training_log_*.txt", "Epoch 1")
    assert process.returncode == preemption.EXIT_CODE, said
    assert "told to end (SIGTERM)" in said
    (latest,) = tmp_path.rglob("checkpoint_latest.pth")
    assert load(latest)["current_epoch"] == 1

    process = start(preprocessed, tmp_path, augmentation_workers=workers)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    final = latest.with_name("checkpoint_final.pth")
    assert epochs_logged(final.parent)[1][0] == "1"
    if not workers:  # what several processes augment comes in no fixed order
        assert_same_training(load(final), uninterrupted)


def test_a_training_that_a_snakemake_left_behind_keeps_its_folder(preprocessed: Path, tmp_path: Path):
    first = start(preprocessed, tmp_path, augmentation_workers=0)
    while not any(tmp_path.rglob("training_log_*.txt")):
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = start(preprocessed, tmp_path, augmentation_workers=0)
    said = second.communicate()[1]
    first.send_signal(signal.SIGCONT)
    (line,) = said.splitlines()
    assert line == f"error: {tmp_path}: found another training that is making it, expected none: wait for it, or end it"
    assert first.wait() == 0


def test_the_last_validation_is_all_that_is_done_again(preprocessed: Path, tmp_path: Path):
    process = start(preprocessed, tmp_path, augmentation_workers=0, fold="0")
    said = told_to_end(process, tmp_path, "training_log_*.txt", "predicting")
    assert process.returncode == preemption.EXIT_CODE, said
    (latest,) = tmp_path.rglob("checkpoint_latest.pth")
    assert load(latest)["current_epoch"] == SHORT["epochs"]

    process = start(preprocessed, tmp_path, augmentation_workers=0, fold="0")
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert epochs_logged(latest.parent)[1] == []
    assert latest.with_name("checkpoint_final.pth").is_file()
    assert latest.with_name("validation").joinpath("summary.json").is_file()


def test_what_augments_ends_with_a_training_that_is_killed(preprocessed: Path, tmp_path: Path):
    process = start(preprocessed, tmp_path, augmentation_workers=2, epochs=1000)
    while process.poll() is None and not any("Epoch 0" in path.read_text() for path in tmp_path.rglob("*.txt")):
        time.sleep(0.01)
    further = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()  # not for the pipe, which they may hold
    assert len(further) >= 2
    assert not psutil.wait_procs(further, timeout=20)[1]
