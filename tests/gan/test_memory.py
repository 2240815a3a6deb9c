"""Memory runs out for real: programs may add so much address space to what their imports took, and no more."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gan import checkpoint
from gan.batch_size import Parts, TooLargeError, smaller
from gan.memory import out_of_memory
from gan.trained import Trained
from tests.gan import tiny

ROOT = Path(__file__).parents[2]
LARGE = 1024  # slices, which twice SHORT_MB do not hold, and an eighth of which they do
SHORT_MB = 400
SETTINGS = {"rounds": 3, "log_every": 1, "samples_every": 9, "checkpoint_every": 2, "batch_size": LARGE}
FOUND = "error: stargan: batch_size: found {}, which did not fit into main memory, expected a smaller one"
IN_USE = """
import resource, sys
from functools import partial
from pathlib import Path
import numpy as np
import psutil
from gan.errors import run
from gan.trained import Trained

def main():
    trained, images = Trained(Path(sys.argv[1])), np.load(sys.argv[2])
    work = partial(trained.translate, source="ct", target="t1")
    trained.on_slices(work, images[:1], 1, 1.0)  # takes what any number takes
    limit = psutil.Process().memory_info().vms + int(sys.argv[3]) * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    np.save(sys.argv[2], [trained.on_slices(work, images, len(images), 1.0) for _ in range(2)])

run(main)
"""


def begin(*words: object, **told: object) -> subprocess.Popen[str]:
    """Start Python, which gives what is freed back to the system, and reserves nothing for threads."""
    own = {"OMP_NUM_THREADS": 1, "MALLOC_MMAP_THRESHOLD_": 65536, "MALLOC_ARENA_MAX": 1} | told
    environment = os.environ | {name: str(value) for name, value in own.items()}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def start(slices: Path, output: Path, megabytes: int, process: int = 0, **more: object) -> subprocess.Popen[str]:
    """Start a training of which one process is short of memory."""
    settings = json.dumps(tiny.entry("stargan", **SETTINGS | more))
    words = ["-m", "tests.gan.little_memory", "--slices", slices, "--method", "stargan", "--settings", settings]
    told = {"MODULE": "gan.train", "MEGABYTES": megabytes, "PROCESS": process}
    return begin(*words, "--output", output, "--resume", **told)


def finish(process: subprocess.Popen[str]) -> list[str]:
    """Return what a program said, but for the seconds."""
    _, said = process.communicate(timeout=300)
    return [line for line in said.splitlines() if not line.startswith("seconds ")]


def assert_same(one: Path, other: Path) -> None:
    first, second = (checkpoint.load(path / "model.pt")["averaged"] for path in (one, other))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert (one / "log.csv").read_bytes() == (other / "log.csv").read_bytes()


def test_a_batch_that_does_not_fit_is_one_line(make_slices, tmp_path):
    process = start(make_slices(per_modality=360), tmp_path / "out", SHORT_MB)
    assert finish(process) == [f"{FOUND.format(LARGE)}, or auto_find_batch_size: true"]
    assert process.returncode == 1


@pytest.mark.parametrize("process", [0, 1], ids=["first", "second"])
def test_one_of_two_processes_ends_both_and_says_why(make_slices, tmp_path, process):
    slices, size = make_slices(per_modality=720), 2 * LARGE
    both = start(slices, tmp_path / "out", SHORT_MB, process, devices=2, batch_size=size)
    said = finish(both)  # whose end waits for both
    assert said.count(FOUND.format(size)) == 1
    assert both.returncode != 0


def test_the_training_is_that_of_a_smaller_batch_where_the_settings_allow_it(make_slices, tmp_path):
    slices, found = make_slices(per_modality=360), tmp_path / "found"
    process = start(slices, found, 2 * SHORT_MB, auto_find_batch_size=True)
    while process.poll() is None and not (found / "checkpoint.pt").exists():
        time.sleep(0.01)
    process.kill()
    said = finish(process)
    config = checkpoint.load_unfinished(found / "checkpoint.pt")["config"]
    used = config["batch_size"]
    assert config["settings"]["batch_size"] == LARGE
    halves = [LARGE >> step for step in range((LARGE // used).bit_length())]
    assert halves[-1] == used < LARGE
    line = "stargan: batch_size: {} did not fit into memory: starting afresh with {}"
    assert said == [line.format(*pair) for pair in pairwise(halves)]

    (resumed,) = finish(start(slices, found, 4000, auto_find_batch_size=True))  # where LARGE would fit
    assert "going on after round" in resumed
    assert checkpoint.load(found / "model.pt")["config"]["batch_size"] == used
    assert finish(start(slices, tmp_path / "asked", 4000, batch_size=used)) == []
    assert_same(found, tmp_path / "asked")


def test_slices_are_translated_in_smaller_parts_and_that_is_said_once(make_slices, tmp_path):
    slices = make_slices(per_modality=30)
    assert finish(start(slices, tmp_path, 4000, batch_size=3, rounds=1)) == []
    images = np.load(slices / "images.npy")[:90, None].astype(np.float32).repeat(16, axis=0)
    np.save(tmp_path / "images.npy", images)
    process = begin("-c", IN_USE, tmp_path / "model.pt", tmp_path / "images.npy", 250)
    said = finish(process)
    assert process.returncode == 0, said
    assert said[0] == "1440 images at once did not fit into memory: 720 from here on"
    assert len(said) == len(set(said)) < 9
    trained = Trained(tmp_path / "model.pt")
    expected = trained.on_slices(lambda part: trained.translate(part, "ct", "t1"), images, 90, 1.0)
    for made in np.load(tmp_path / "images.npy"):
        np.testing.assert_allclose(made, expected, atol=1e-5)


def test_parts_are_halved_down_to_the_least_and_stay_so(caplog):
    def network(part):
        if len(part) > 3:
            np.empty(1 << 50)
        return part * 2

    images, parts, cpu = torch.arange(11), Parts(), torch.device("cpu")
    found = [list(parts.through(network, images, 10, cpu)) for _ in range(2)]
    assert [[len(made) for _, made in one] for one in found] == [[2, 2, 2, 2, 2, 1]] * 2
    assert torch.equal(torch.cat([made for _, made in found[0]]), images * 2)
    assert caplog.messages == [
        "10 images at once did not fit into memory: 5 from here on",
        "5 images at once did not fit into memory: 2 from here on",
    ]
    with pytest.raises(TooLargeError, match=r"^images at once: found 5, .* main memory, expected more memory$"):
        list(Parts().through(network, images, 10, cpu, least=5))


@pytest.mark.parametrize(
    ("size", "multiple", "half"),
    [(64, 1, 32), (3, 1, 2), (2, 1, None), (9, 3, 3), (3, 3, None), (7, 3, 3), (4, 2, 2), (2, 2, None)],
)
def test_half_a_batch_is_a_multiple_and_two_at_least(size, multiple, half):
    assert smaller(size, multiple) == half


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("of a GPU"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("Some background worker is 6 feet under. Maybe you are running out of RAM"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("Connection closed by peer"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error, expected):
    assert out_of_memory(error) == expected


@pytest.mark.parametrize(
    ("fails", "found"),
    [
        ("numpy.empty(1 << 50)", r"error: memory: found too little (Unable to allocate 8.00 PiB for an array"),
        ("[0] * (1 << 50)", "error: memory: found too little, expected more, or fewer jobs and threads at once"),
    ],
)
def test_any_program_says_in_one_line_that_memory_ran_out(fails, found):
    code = f"from gan.errors import run; run(lambda: __import__({fails.split('.')[0]!r}).{fails.split('.', 1)[-1]})"
    code = code if "." in fails else f"from gan.errors import run; run(lambda: {fails})"
    process = begin("-c", code)
    (line,) = finish(process)
    assert line.startswith(found)
    assert process.returncode == 1
