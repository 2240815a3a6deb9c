"""The raw dataset: what nnU-Net is told about whom, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enrich import index, volume
from enrich.nnunet.dataset import Case, channel_names, draw_folds
from enrich.volume import Volume
from gan.errors import InputError
from gan.files import publish_json, seal, sha256

from .study import PATIENTS, Study, write_dataset


def content(path: Path) -> dict:
    return json.loads(path.read_text())


def test_channels_are_named_so_that_only_a_real_ct_is_normalized_as_ct():
    assert channel_names(["ct"], ["t1", "t2"], "synthetic") == {"0": "CT", "1": "synthetic T1w", "2": "synthetic T2w"}
    assert channel_names(["t1"], ["ct"], "synthetic") == {"0": "T1w", "1": "synthetic CT"}
    assert channel_names(["t1"], ["ct"], "zero") == {"0": "T1w", "1": "zero CT"}


def test_training_patients_are_in_the_map_and_test_patients_in_images_ts_only(raw: Path):
    told = content(raw)
    training = [*PATIENTS["train"], *PATIENTS["watch"]]
    assert sorted(told["dataset"]) == training
    assert told["numTraining"] == len(training)
    assert told["labels"] == {"background": 0, "liver": 1}
    linked = sorted(path.name for path in (raw.parent / "imagesTs").iterdir())
    assert linked == [f"{case}_000{channel}.nii.gz" for case in PATIENTS["test"] for channel in (0, 1)]


def test_nothing_is_copied_and_the_run_can_be_moved(study: Study, tmp_path: Path):
    source = tmp_path / "before"
    shutil.copytree(study.root, source, symlinks=True)
    write_dataset(Study(source), source / "nnunet", "ct", "t1")
    moved = tmp_path / "elsewhere" / "after"
    shutil.copytree(source, moved, symlinks=True)
    shutil.rmtree(source)
    folder = moved / "nnunet" / "raw" / "Dataset001_enriched"
    for case, files in content(folder / "dataset.json")["dataset"].items():
        real, synthetic = ((folder / path).resolve() for path in files["images"])
        assert real == moved / "scans" / f"{case}_ct.nii.gz"
        assert synthetic == moved / "synthetic" / "targan" / "seed0" / f"{case}_ct_to_t1.nii.gz"
        assert (folder / files["label"]).is_file()
    links = list((folder / "imagesTs").iterdir())
    assert links
    assert all(link.is_symlink() and link.is_file() for link in links)


def test_without_a_synthetic_index_the_real_channel_is_alone(study: Study, tmp_path: Path):
    told = content(write_dataset(study, study.root / "single", "ct", None))
    assert told["channel_names"] == {"0": "CT"}
    assert all(len(files["images"]) == 1 for files in told["dataset"].values())


def test_a_new_dataset_replaces_the_old_one(study: Study, tmp_path: Path):
    path = write_dataset(study, study.root / "again", "ct", "t1", folds="0")
    assert (path.parent / "splits_final.json").is_file()
    write_dataset(study, study.root / "again", "ct", None)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        ".published",
        "dataset.json",
        "dataset.json.sha256",
        "imagesTs",
    ]
    assert len(list((path.parent / "imagesTs").iterdir())) == len(PATIENTS["test"])


def test_the_provenance_is_told(raw: Path, study: Study):
    files = {"scans": study.scans, "splits": study.splits, "synthetic": study.synthetic}
    assert content(raw)["provenance"] == {f"{name}_sha256": sha256(path) for name, path in files.items()}


def test_folds_never_divide_a_patient_and_validate_everyone_once():
    training = [Case(f"p{patient}-{time}", f"p{patient}", [], None) for patient in range(7) for time in range(3)]
    folds = draw_folds(training, seed=0)
    assert len(folds) == 5
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == sorted(case.name for case in training)
        assert not {name.split("-")[0] for name in fold["train"]} & {name.split("-")[0] for name in fold["val"]}
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(case.name for case in training)
    assert folds == draw_folds(training[::-1], seed=0)
    assert folds != draw_folds(training, seed=1)


@pytest.fixture
def copy(study: Study, tmp_path: Path) -> Study:
    """A study that a test may spoil."""
    for name in ("scans", "synthetic"):
        shutil.copytree(study.root / name, tmp_path / name)
    for path in (study.scans, study.splits, study.root / "structures.json"):
        shutil.copy(path, tmp_path)
        seal(tmp_path / path.name)
    return Study(tmp_path)


def spoil_hash(study: Study) -> str:
    path = study.synthetic.parent / "ct03_ct_to_t1.nii.gz"
    image = volume.read(path)
    volume.write(image.with_array(image.array + 1), path)
    return "ct03_ct_to_t1.nii.gz: found sha256"


def spoil_grid(study: Study) -> str:
    path = study.synthetic.parent / "ct03_ct_to_t1.nii.gz"
    image = volume.read(path)
    volume.write(Volume(image.array, image.spacing_mm, (0.0, 0.0, 0.0), image.direction), path)
    rows = pd.read_csv(study.synthetic)
    rows.loc[rows["case"] == "ct03", "sha256"] = sha256(path)
    index.write(rows, study.synthetic)
    return "ct03_ct_to_t1.nii.gz: found a grid of"


def lose_synthetic(study: Study) -> str:
    (study.synthetic.parent / "ct03_ct_to_t1.nii.gz").unlink()
    return "ct03_ct_to_t1.nii.gz: found no such file"


def lose_scan(study: Study) -> str:
    (study.root / "scans" / "ct02_ct.nii.gz").unlink()
    return "ct02_ct.nii.gz: found no such file"


def lose_row(study: Study) -> str:
    rows = pd.read_csv(study.synthetic)
    index.write(rows[rows["case"] != "ct07"], study.synthetic)
    return "index.csv: found no image of ct07 ct to t1"


def lose_patients(study: Study) -> str:
    publish_json(study.splits, PATIENTS | {"watch": [], "unlabelled": ["ct05"]})
    return "folds: found 4 labelled patients"


def lose_everyone(study: Study) -> str:
    publish_json(study.splits, {"train": ["mr01"], "watch": [], "test": ["ct01"], "unlabelled": []})
    return "no labelled ct scan to train"


SPOILS = [spoil_hash, spoil_grid, lose_synthetic, lose_scan, lose_row, lose_patients, lose_everyone]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_bad_input_is_refused_and_nothing_is_written(copy: Study, spoil):
    message = spoil(copy)
    with pytest.raises(InputError, match=message):
        write_dataset(copy, copy.root / "nnunet", "ct", "t1", folds="0")
    assert [path for path in copy.root.rglob("*") if "Dataset001" in path.name] == []


def test_bad_input_is_one_line_to_the_user(copy: Study):
    spoil_hash(copy)
    command = [sys.executable, "-m", "enrich.nnunet.dataset", "--scans", copy.scans, "--splits", copy.splits]
    command += ["--modality", "ct", "--modalities", "ct", "t1", "--synthetic", copy.synthetic]
    command += ["--output", copy.root / "raw" / "Dataset001_enriched" / "dataset.json"]
    done = subprocess.run(list(map(os.fspath, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_label_must_lie_on_the_image_s_grid(copy: Study):
    path = copy.root / "scans" / "ct01_ct_label.nii.gz"
    label = volume.read(path)
    volume.write(Volume(label.array, tuple(np.multiply(label.spacing_mm, 2)), label.origin_mm, label.direction), path)
    rows = pd.read_csv(copy.scans)
    rows.loc[rows["case"] == "ct01", "label_sha256"] = sha256(path)
    index.write(rows, copy.scans)
    with pytest.raises(InputError, match="ct01_ct_label"):
        write_dataset(copy, copy.root / "nnunet", "ct", "t1")
