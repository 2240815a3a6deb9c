"""The whole audit: of a clean run, of one that lacks a file, and as a program."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from enrich.audit import __main__ as audit
from gan.errors import InputError
from gan.files import sha256
from tests.enrich.nnunet.study import call

from .edits import ct, edit_model, who
from .run import CHECKPOINT, FOLD0, INDEX, MODEL, PREPROCESSED, SINGLE

MISSING = {
    "slices/images.npy": "slices/images.npy",
    "slices/slices.json": "slices/slices.json",
    FOLD0: "a model of sha256",
    "synthetic/stargan/seed0/ct01_ct_to_t1.json": "ct01_ct_to_t1.json",
    "synthetic/stargan/seed0/ct01_ct_to_t1.nii.gz": "ct01_ct_to_t1.nii.gz",
    "cases/stargan/ct/seed0/cases.json": "cases.json",
    "cases/stargan/ct/seed0/index.csv": "cases/stargan/ct/seed0/index.csv",
    INDEX: INDEX,
    SINGLE: SINGLE,
    f"nnunet/ct/single/{PREPROCESSED}": PREPROCESSED,
    f"nnunet/ct/single/{PREPROCESSED.replace('preprocessed.json', 'dataset.json')}": "dataset.json",
    f"nnunet/ct/single/{PREPROCESSED.replace('preprocessed.json', 'nnUNetPlans.json')}": "nnUNetPlans.json",
    f"nnunet/t1/single/seed0/{CHECKPOINT}": "Single of its modality, labels, seed and fold",
    f"nnunet/t1/stargan-seed0/seed0/{CHECKPOINT}": "no checkpoint of fold all for t1 stargan-seed0 seed0",
    "nnunet/ct/single/seed0/predictions/index.csv": "nnunet/ct/single/seed0/predictions/index.csv",
    "nnunet/ct/single/seed0/scores.csv": "scores/segmentation.csv",
    "scores/segmentation.csv": "scores/segmentation.csv",
    "segmenters/segan/ct/single/seed0/model.pt": "no model.pt of segan, seed0",
    "enriched/ct/single/index.csv": "enriched/ct/single/index.csv",
}


def test_a_clean_run_passes_with_the_hash_of_every_file(finished):
    output = finished.parent / "audit.json"
    call(audit.main, "--run", finished, "--workers", 2, "--output", output)
    found = json.loads(output.read_text())
    assert found["passed"]
    assert found["leftovers"] == []
    assert all(check["examined"] for check in found["checks"])
    assert "outer folds" not in {check["name"] for check in found["checks"]}  # there are none
    assert all(check["passed"] and check["proves"] and check["found"] == [] for check in found["checks"])
    assert all(sha256(finished / path) == digest for path, digest in found["files"].items())
    read = {path.relative_to(finished).as_posix() for path in files_of_the_chain(finished)}
    assert read - found["files"].keys() == set()


def files_of_the_chain(root: Path) -> set[Path]:
    patterns = ("*.csv", "splits.json", "config.yaml", "scans/*", "slices/*", "synthetic/**/*", "cases/**/*.nii.gz")
    patterns += ("**/model.pt", "**/checkpoint_final.pth", "**/predictions/*", "**/dataset.json", "**/*.b2nd")
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    found = {path for path in found if path.name != ".published" and path.suffix != ".sha256"}
    return {path for path in found if "nnUNetTrainer" not in str(path.parent.name)}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_link_is_no_pass(root, caught, name):
    (root / name).unlink()
    caught(MISSING[name])


@pytest.mark.parametrize("name", ["config.yaml", "scans.csv", "splits.json"])
def test_without_what_every_check_reads_nothing_is_audited(root, name):
    (root / name).unlink()
    with pytest.raises(InputError, match=name):
        call(audit.main, "--run", root, "--output", root / "audit.json")
    assert not (root / "audit.json").exists()


def test_as_a_program_it_ends_with_one_line_and_exit_code_1(root):
    test = ct(who(root).test)
    edit_model(root / MODEL, lambda config: config["patients"].append(test))
    command = [sys.executable, "-m", "enrich.audit", "--run", root, "--output", root / "audit.json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: translators: {root / MODEL}: found test patient {test}")
    assert "Traceback" not in done.stderr
