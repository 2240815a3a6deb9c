"""Leaks between time points, and over outer folds, of heads as BraTS stores them."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from enrich import config, controls, phantom, prepare, splits
from enrich.audit.patients import every_patient_tests_once, one_person_one_set
from enrich.audit.study import Study
from enrich.nnunet import dataset
from tests.enrich.nnunet.study import call

from .edits import edit_config, edit_csv, edit_json, found_by
from .run import CONFIG, RAW, design_of


@pytest.fixture
def heads(tmp_path) -> Path:
    """Return a run of three people, one of them with two time points, up to the splits of three outer folds."""
    raw, root = tmp_path / "raw", tmp_path / "results" / "heads"
    settings = json.dumps({"patients": 4, "slices": 8, "size": 32})
    call(phantom.main, "--layout", "brats", "--settings", settings, "--output", raw / "phantom.json")
    names = ["A_1", "A_2", "B_1", "C_1"]
    for old, name in zip(sorted(raw.glob("BraTS2021_*")), names, strict=True):
        for path in old.iterdir():
            path.rename(path.with_name(path.name.replace(old.name, f"BraTS19_{name}")))
        (raw / "HGG").mkdir(exist_ok=True)
        old.rename(raw / "HGG" / f"BraTS19_{name}")
    given = CONFIG | {"data": {"reader": "brats", "release": "2019", "folder": str(raw)}, "run": "heads"}
    given |= {"methods": {}, "compositions": {}, "controls": ["single", "copy"], "structures": ["whole_tumour"]}
    resolved = config.resolve(
        given | {"modalities": ["t1", "t2"], "target": "whole_tumour", "crossfit": 0, "outer_folds": 3},
        Path("heads.yaml"),
    )
    root.mkdir(parents=True)
    config.record(resolved, root)
    reader = ["--reader", "brats", "--release", "2019", "--folder", raw, "--modalities", "t1", "t2"]
    call(prepare.main, *reader, "--target", "whole_tumour", "--segment", "whole_tumour", "--output", root / "scans.csv")
    design = ["--scans", root / "scans.csv", "--design", json.dumps(design_of(resolved))]
    for number in range(3):
        call(splits.main, *design, "--outer", number, "--output", root / f"outer{number}" / "splits.json")
    return root


def test_time_points_of_a_person_stay_together_and_everybody_tests_once(heads):
    study = Study(heads, 1)
    assert {*study.scans["patient"]} == {"BraTS19_A", "BraTS19_B", "BraTS19_C"}
    assert len(study.splits) == 3
    for check in (one_person_one_set(study), every_patient_tests_once(study)):
        assert check.examined
        assert check.found == []


def test_time_points_of_a_person_in_different_sets_are_caught(heads):
    second = "BraTS19_A_2"
    edit_csv(
        heads / "scans.csv", lambda rows: rows.assign(patient=rows["patient"].where(rows["case"] != second, second))
    )
    for number, name in enumerate(("train", "test", "train")):
        edit_json(heads / f"outer{number}" / "splits.json", lambda found, name=name: found[name].append(second))
    expected = "expected one, since all scans named BraTS19_A are of one person"
    assert one_person_one_set(Study(heads, 1)).found == [
        f"{heads}/scans.csv: found patients BraTS19_A, {second}, {expected}"
    ]


def test_a_patient_who_tests_twice_or_never_over_the_outer_folds_is_caught(heads):
    first, second = (splits.read(heads / f"outer{number}" / "splits.json") for number in (0, 1))
    (twice,), (never,) = first.test, second.test

    def again(found):
        everyone = [*found["train"], *found["watch"], *found["test"]]
        found.update(train=[patient for patient in everyone if patient != twice], watch=[], test=[twice])

    edit_json(heads / "outer1" / "splits.json", again)
    assert sorted(every_patient_tests_once(Study(heads, 1)).found) == sorted(
        f"{heads}/outer*/splits.json: found patient {patient} in {times} test sets, expected in one"
        for patient, times in ((twice, 2), (never, 0))
    )


def test_an_outer_fold_too_few_is_caught(heads):
    shutil.rmtree(heads / "outer2")
    found = found_by(heads)
    assert f"{heads}: found the splits outer0, outer1, expected outer0, outer1, outer2" in found["configuration"]
    (never,) = found["outer folds"]
    assert "in 0 test sets" in never


def test_an_outer_fold_too_many_is_a_leftover(heads):
    shutil.copytree(heads / "outer2", heads / "outer3")
    (heads / "outer3" / "slices").mkdir()
    (heads / "outer3" / "slices" / "slices.json").touch()
    found = found_by(heads)
    assert found["configuration"] == found["outer folds"] == found["patients"] == []
    assert Study(heads, 1).results.all_leftovers == [heads / "outer3" / "slices" / "slices.json"]


def test_results_of_a_split_without_outer_folds_are_leftovers(heads):
    (heads / "gan").mkdir()
    (heads / "gan" / "model.pt").touch()
    assert not any(lines for name, lines in found_by(heads).items() if name != "scores")
    assert Study(heads, 1).results.all_leftovers == [heads / "gan" / "model.pt"]


def test_an_oracle_of_the_source_itself_is_caught(heads):
    edit_config(heads, controls=["single", "oracle"])
    path = heads / "synthetic" / "oracle" / "index.csv"
    given = ["--scans", heads / "scans.csv", "--modalities", "t1", "t2"]
    call(controls.main, "--kind", "oracle", *given, "--output", path)
    assert found_by(heads)["synthetic channels"] == []
    case = pd.read_csv(path)["case"][0]

    def swap(rows):
        other = {"t1": "t2", "t2": "t1"}
        return rows.assign(target=rows["target"].where(rows["case"] != case, rows["target"].map(other)))

    edit_csv(path, swap)
    expected = f"another image than {case}'s t1, expected that of {heads / 'scans.csv'}"
    assert f"{path}: found {expected}" in found_by(heads)["synthetic channels"]


def test_every_fold_has_its_own_test_patients_and_all_share_the_controls(heads):
    scans, copy = heads / "scans.csv", heads / "synthetic" / "copy" / "index.csv"
    modalities = ["--modalities", "t1", "t2"]
    call(controls.main, "--kind", "copy", "--scans", scans, *modalities, "--output", copy)
    for number in range(3):
        split = heads / f"outer{number}"
        output = split / "nnunet" / "t1" / "copy" / RAW
        given = ["--scans", scans, "--splits", split / "splits.json", "--modality", "t1", *modalities]
        more = ["--synthetic", copy, "--kind", "copied", "--output", output]
        call(dataset.main, *given, *more)
    found = found_by(heads)
    (unscored,) = found.pop("scores")
    assert "scores/segmentation.csv" in unscored
    assert not any(found.values())
    (test,) = splits.read(heads / "outer1" / "splits.json").test
    edit_json(heads / "outer0" / "splits.json", lambda found: found.update(test=[test]))
    assert any(f"of test patient {test}" in line for line in found_by(heads)["datasets"])
