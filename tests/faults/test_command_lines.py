"""Broken inputs through the programs themselves: exit code 1 and one last line, and files below the output alone."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import strategies as st

from enrich.datasets import phantom_brats, phantom_chaos
from gan.batch import FILES
from gan.errors import InputError
from tests.faults.mutations import drawn, flipped
from tests.faults.trials import INPUT, OUTPUT, Trial, require_good

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    phantom_chaos.write(phantom_chaos.Settings(ct_patients=1, mr_patients=1, slices=8, size=32), folder / "chaos")
    phantom_brats.write(phantom_brats.Settings(patients=1, slices=8, size=32), folder / "brats")
    return folder


def programme(module, *arguments):
    """Run a program as `python -m` does, and raise what its one line says."""
    stream, told = StringIO(), None
    sys.argv = [module, *map(str, arguments)]
    sys.modules.pop(module, None)  # runpy warns of what is there already
    with redirect_stderr(stream):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            told = end.code
    assert "Traceback" not in stream.getvalue()
    if told is not None:
        assert str(told).startswith("error: "), stream.getvalue()
        where, _, rest = told.removeprefix("error: ").partition(": found ")
        raise InputError(where, *rest.partition(", expected ")[::2])


def prepare(folder, raw, kind, path, content):
    shutil.copytree(raw / kind, folder / INPUT / kind)
    target = folder / INPUT / kind / path
    target.write_bytes(content)
    told = {
        "chaos": ("--modalities", "ct", "t1", "t2", "--target", "liver"),
        "brats": ("--release", "2021", "--modalities", "t1", "flair", "--target", "whole_tumour"),
    }[kind]
    where = ("--folder", folder / INPUT / kind, "--output", folder / OUTPUT / "scans.csv")
    programme("enrich.prepare", "--reader", kind, *told, *where)
    assert (folder / OUTPUT / "scans.csv").is_file()


def test_prepare(raw, tmp_path, record_property):
    trials = []
    for kind, endings in (("chaos", ("dcm", "png")), ("brats", ("nii.gz",))):
        files = [path for ending in endings for path in sorted((raw / kind).rglob(f"*.{ending}"))]
        places = st.tuples(st.sampled_from(files), st.integers(0, 10**6), st.sampled_from(["bit", "cut", "other"]))
        for file, place, what in drawn(places, 24):
            content = file.read_bytes()
            place %= 8 * len(content)
            changed = {
                "bit": flipped(content, place),
                "cut": content[: place // 8],
                "other": files[place % len(files)].read_bytes(),
            }[what]
            path = file.relative_to(raw / kind)
            trials.append(
                Trial(f"{path} {what} {place}", partial(prepare, raw=raw, kind=kind, path=path, content=changed))
            )
    require_good(trials, tmp_path, record_property)


def test_what_comes_after(tmp_path, record_property):
    def splitting(folder, content):
        (folder / INPUT / "scans.csv").write_bytes(content)
        design = json.dumps({"split": {"train": 0.5, "watch": 0, "seed": 0}})
        where = ("--scans", folder / INPUT / "scans.csv", "--output", folder / OUTPUT / "splits.json")
        programme("enrich.splits", "--design", design, *where)

    def training(folder, content):
        (folder / INPUT / "slices").mkdir()
        for name in FILES:
            (folder / INPUT / "slices" / name).write_bytes(content)
        programme(
            "gan.train", "--slices", folder / INPUT / "slices", "--method", "stargan", "--output", folder / OUTPUT
        )

    def cutting(folder, content):
        for name in ("scans.csv", "splits.json"):
            (folder / INPUT / name).write_bytes(content)
        where = ("--scans", folder / INPUT / "scans.csv", "--splits", folder / INPUT / "splits.json")
        told = ("--modalities", "ct", "--image-size", "64", "--intensity", "{}")
        programme("enrich.slices", *where, *told, "--output", folder / OUTPUT / "slices" / "index.csv")

    def evaluating(folder, content):
        (folder / INPUT / "a\nb.nii.gz").write_bytes(content)
        programme("enrich.evaluate", folder / INPUT / "a\nb.nii.gz", folder / INPUT / "a\nb.nii.gz")

    def checking(folder, content):
        (folder / INPUT / "scans.csv").write_bytes(content)
        programme("enrich.check", "table", folder / INPUT / "scans.csv", "--structures", '{"liver": [1]}')

    contents = [
        b"",
        b"\0" * 100,
        b"{}",
        b"[" * 100_000,
        "ä".encode("latin-1"),
        b"a,b\n1,2,3\n",
        b"\x1f\x8b" + bytes(20),
    ]
    trials = [
        Trial(f"{program.__name__} {number}", partial(program, content=content))
        for program in (splitting, training, cutting, evaluating, checking)
        for number, content in enumerate(contents)
    ]
    found = require_good(trials, tmp_path, record_property)
    assert {outcome.kind for outcome in found} == {"refused"}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (
            "enrich.prepare",
            "--reader brats --release 2021 --modalities t1 --target a --folder . --output out/s.csv",
        ),
        ("enrich.evaluate", "a.nii a.nii"),
        ("enrich.check", "table a.csv --structures {}"),
        ("gan.train", "--slices . --method stargan --output out"),
    ],
)
def test_in_a_process_of_their_own(tmp_path, module, arguments):
    for name in ("a.nii", "a.csv", "slices.json", "index.csv", "images.npy", "targets.npy", "body.npy"):
        (tmp_path / name).write_bytes(b"\xff\0broken\n")
    command = [sys.executable, "-m", module, *arguments.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
