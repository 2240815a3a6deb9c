"""SIGTERM: a training saves where it is, ends with its own exit code, and goes on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gan import checkpoint, preemption
from tests.gan import tiny
from tests.gan.test_training import assert_same

ROUNDS = 40


def start(slices, output, devices=1):
    """Start a training that writes no checkpoint of its own accord, and resumes."""
    entry = tiny.entry("stargan", rounds=ROUNDS, checkpoint_every=10**6, log_every=1, batch_size=2, devices=devices)
    command = [sys.executable, "-m", "gan.train", "--slices", slices, "--method", "stargan"]
    command += ["--settings", json.dumps(entry), "--output", output, "--resume"]
    return subprocess.Popen(list(map(os.fspath, command)), stderr=subprocess.PIPE, text=True, start_new_session=True)


def told_to_end(process, output, tell):
    """Tell a training to end once some rounds are done; return what it said."""
    log = output / "log.csv"
    while process.poll() is None and not (log.is_file() and len(log.read_text().splitlines()) > 10):
        time.sleep(0.01)
    tell(process.pid, signal.SIGTERM)
    return process.communicate(timeout=60)[1]


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_that_is_told_to_end_goes_on_to_the_same_bits(make_slices, tmp_path, devices):
    slices = make_slices(per_modality=8)
    undisturbed, ended = tmp_path / "undisturbed", tmp_path / "ended"
    process = start(slices, undisturbed, devices)
    assert process.wait() == 0, process.stderr.read()

    process = start(slices, ended, devices)
    said = told_to_end(process, ended, os.killpg)
    assert process.returncode == preemption.EXIT_CODE, said
    assert "told to end (SIGTERM)" in said
    assert "Traceback" not in said
    assert not (ended / "model.pt").exists()
    done = checkpoint.load_unfinished(ended / "checkpoint.pt")["round"]
    assert 0 < done < ROUNDS

    process = start(slices, ended, devices)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert f"going on after round {done}" in said
    assert_same(checkpoint.load(ended / "model.pt"), checkpoint.load(undisturbed / "model.pt"))
    assert (ended / "log.csv").read_bytes() == (undisturbed / "log.csv").read_bytes()


def test_a_training_that_a_snakemake_left_behind_keeps_its_folder(make_slices, tmp_path):
    slices, output = make_slices(per_modality=8), tmp_path / "out"
    first = start(slices, output)
    while not (output / "log.csv").is_file():
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = start(slices, output)
    said = second.communicate()[1]
    first.send_signal(signal.SIGCONT)
    (line,) = said.splitlines()
    assert line == f"error: {output}: found another training that is making it, expected none: wait for it, or end it"
    assert second.returncode == 1
    assert first.wait() == 0, first.stderr.read()
    assert start(slices, output).wait() == 0


def test_a_process_that_was_forked_meanwhile_ends_at_once():
    heard = []
    here, there = os.pipe()
    with preemption.heeded(lambda: heard.append(True)):
        child = os.fork()
        if child == 0:
            os.write(there, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(here, 1)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM
        assert not heard
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
