"""Datasets of a share of the labels or of the further cases, and of all modalities together."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pandas as pd

from enrich import index, structures
from enrich.nnunet import dataset
from gan.files import publish_json, sha256

from .ada import FURTHER, OTHERS, SYNTHETIC, TRAINING, content, write_cases, write_single_dataset
from .study import PATIENTS, Study, call


def write(study: Study, folder: Path, *options: object) -> dict:
    output = folder / "raw" / "Dataset001_enriched" / "dataset.json"
    arguments = ["--scans", study.scans, "--splits", study.splits, "--output", output]
    call(dataset.main, *arguments, *options)
    return content(output)


def test_a_smaller_budget_is_part_of_a_larger_one_and_tests_the_same(study: Study, tmp_path: Path):
    single = ["--modality", "ct", "--modalities", "ct", "t1"]
    budgets = [write(study, tmp_path / str(f), *single, "--label-fraction", f) for f in (0.2, 0.5, 0.6, 1)]
    assert [len(told["dataset"]) for told in budgets] == [1, 3, 3, 5]  # of five patients, rounded up
    assert all(told["numTraining"] == len(told["dataset"]) for told in budgets)
    for smaller, larger in pairwise(budgets):
        assert smaller["dataset"].keys() <= larger["dataset"].keys()
        assert smaller["test_cases"] == larger["test_cases"] == PATIENTS["test"]


def test_cases_of_patients_beyond_the_budget_are_left_out(study: Study, tmp_path: Path):
    cases = write_cases(tmp_path / "given")
    splits = write_single_dataset(study, tmp_path / "all", cases, "all").parents[2] / "splits.json"
    options = ["--modality", "ct", "--modalities", "ct", "t1", "--cases", cases, "--splits", splits]
    told = write(study, tmp_path / "some", *options, "--label-fraction", 0.4)
    kept = {name for name in told["dataset"] if name not in FURTHER}
    assert len(kept) == 2
    expected = {name for name, patient in FURTHER.items() if patient in kept or patient in OTHERS}
    assert set(told["synthetic_cases"]) == expected
    assert {*SYNTHETIC} < expected


def test_a_share_of_the_further_cases(study: Study, tmp_path: Path):
    cases = write_cases(tmp_path / "given")
    splits = write_single_dataset(study, tmp_path / "all", cases, "all").parents[2] / "splits.json"
    options = ["--modality", "ct", "--modalities", "ct", "t1", "--cases", cases, "--splits", splits]
    few, more = (write(study, tmp_path / str(f), *options, "--synthetic-fraction", f) for f in (0.25, 0.5))
    assert len(few["synthetic_cases"]) == 2  # of seven, rounded up
    assert len(more["synthetic_cases"]) == 4
    assert {*few["synthetic_cases"]} < {*more["synthetic_cases"]}
    for told in (few, more):
        assert [name for name in told["dataset"] if name not in FURTHER] == TRAINING


def test_a_share_of_the_further_cases_within_a_budget_of_labels(study: Study, tmp_path: Path):
    cases = write_cases(tmp_path / "given")
    splits = write_single_dataset(study, tmp_path / "all", cases, "all").parents[2] / "splits.json"
    options = ["--modality", "ct", "--modalities", "ct", "t1", "--cases", cases, "--splits", splits]
    options += ["--label-fraction", 0.4]
    whole = write(study, tmp_path / "whole", *options)["synthetic_cases"]
    few, more = (
        write(study, tmp_path / str(f), *options, "--synthetic-fraction", f)["synthetic_cases"] for f in (0.2, 0.5)
    )
    assert [len(few), len(more)] == [math.ceil(0.2 * len(whole)), math.ceil(0.5 * len(whole))]
    assert {*few} <= {*more} < {*whole} < FURTHER.keys()


def test_the_pooled_dataset_holds_every_modality_s_scans(study: Study, tmp_path: Path):
    rows = pd.read_csv(study.scans)
    rows[["image", "label"]] = rows[["image", "label"]].map(lambda name: str(study.root / name))
    other = rows.assign(modality="t1", image=rows["image"].iloc[::-1].tolist())
    other["image_sha256"] = [sha256(Path(path)) for path in other["image"]]
    pooled = Study(tmp_path)
    index.write(pd.concat([rows, other]), pooled.scans)
    structures.read(study.scans).write(pooled.scans)
    publish_json(pooled.splits, PATIENTS)
    told = write(pooled, tmp_path, "--modality", "pooled", "--modalities", "ct", "t1", "--folds", 0)
    assert list(told["dataset"]) == [f"{case}_{modality}" for modality in ("ct", "t1") for case in TRAINING]
    assert told["test_cases"] == [f"{case}_{modality}" for modality in ("ct", "t1") for case in PATIENTS["test"]]
    assert told["channel_names"] == {"0": "pooled"}
    for fold in json.loads((tmp_path / "raw/Dataset001_enriched/splits_final.json").read_text()):
        sides = [{name.split("_")[0] for name in fold[side]} for side in ("train", "val")]
        assert not sides[0] & sides[1]
