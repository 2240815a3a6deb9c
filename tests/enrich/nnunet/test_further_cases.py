"""Further cases in the raw dataset, and preprocessed under the plans of the real scans alone."""

import shutil
from pathlib import Path

import blosc2
import pandas as pd
import pytest

from enrich import index, volume
from enrich.nnunet import dataset
from enrich.volume import Volume
from gan.errors import InputError
from gan.files import publish_json, sha256

from .ada import FURTHER, SYNTHETIC, TRAINING, content, write_cases, write_preprocessed, write_single_dataset
from .study import PATIENTS, Study, call


def test_cases_train_beside_the_real_ones(raw_tuned: Path, cases: Path):
    told = content(raw_tuned)
    assert list(told["dataset"]) == [*TRAINING, *FURTHER]
    assert told["synthetic_cases"] == list(FURTHER)
    assert told["numTraining"] == len(told["dataset"])
    assert told["channel_names"] == {"0": "CT"}
    assert told["provenance"]["cases_sha256"] == sha256(cases)
    for name in FURTHER:
        files = told["dataset"][name]
        assert [(raw_tuned.parent / path).resolve() for path in files["images"]] == [cases.parent / f"{name}.nii.gz"]
        assert (raw_tuned.parent / files["label"]).resolve() == cases.parent / "labels" / f"{name}.nii.gz"


def test_without_cases_nothing_is_called_synthetic_and_the_testers_are_the_same(raw_tuned: Path, single: Path):
    alone = content(single.with_name("dataset.json"))
    assert "synthetic_cases" not in alone
    assert content(raw_tuned)["test_cases"] == alone["test_cases"] == PATIENTS["test"]
    linked = sorted(path.name for path in (raw_tuned.parent / "imagesTs").iterdir())
    assert linked == [f"{case}_0000.nii.gz" for case in PATIENTS["test"]]


def test_a_held_out_patient_s_cases_are_nowhere_and_only_real_ones_validate(raw_tuned: Path, single: Path):
    alone, both = (content(path.with_name("splits_final.json")) for path in (single, raw_tuned))
    for real, fold in zip(alone, both, strict=True):
        assert fold["val"] == real["val"]  # as the network that is tuned was validated
        further = {name for name, patient in FURTHER.items() if patient not in real["val"]}
        assert set(fold["train"]) == {*real["train"], *further}
        assert len(further) == len(FURTHER) - len(real["val"])
        assert {*SYNTHETIC} < set(fold["train"])


def other_hash(root: Path) -> str:
    path = write_cases(root).with_name("mr01_t1_to_ct.nii.gz")
    path.write_bytes(path.read_bytes() + b"x")
    return r"mr01_t1_to_ct\.nii\.gz: found sha256"


def other_grid(root: Path) -> str:
    path = write_cases(root)
    label = path.parent / "labels" / "mr01_t1_to_ct.nii.gz"
    volume.write(Volume(volume.read(label).array, (1.0, 1.0, 1.0)), label)
    rows = pd.read_csv(path, keep_default_na=False)
    rows.loc[rows["case"] == "mr01_t1_to_ct", "label_sha256"] = sha256(label)
    index.write(rows, path)
    return r"labels/mr01_t1_to_ct\.nii\.gz: found a grid of"


def patient_who_tests(root: Path) -> str:
    write_cases(root, FURTHER | {"ct06_ct_by_t1": "ct06"})
    return "case ct06_ct_by_t1 of patient ct06, expected a patient who trains"


def other_modality(root: Path) -> str:
    write_cases(root, target="t2")
    return "case mr01_t1_to_ct for t2, expected ct"


def name_of_a_scan(root: Path) -> str:
    write_cases(root, {"ct01": "ct01"})
    return "another case ct01, expected a name of its own"


def name_of_a_case(root: Path) -> str:
    path = write_cases(root)
    rows = pd.read_csv(path, keep_default_na=False)
    index.write(pd.concat([rows, rows[:1]]), path)
    return "another case mr01_t1_to_ct, expected a name of its own"


SPOILS = [other_hash, other_grid, patient_who_tests, other_modality, name_of_a_scan, name_of_a_case]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_cases_that_must_not_train_are_refused(study: Study, tmp_path: Path, spoil):
    message = spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        write_single_dataset(study, tmp_path, tmp_path / "cases" / "index.csv")
    assert not (tmp_path / "raw" / "Dataset001_enriched").exists()


def test_cases_are_for_the_single_channel_only(study: Study, cases: Path, tmp_path: Path):
    arguments = ["--scans", study.scans, "--splits", study.splits, "--modality", "ct", "--modalities", "ct", "t1"]
    arguments += ["--output", tmp_path / "raw" / "Dataset001_enriched" / "dataset.json"]
    with pytest.raises(SystemExit):
        call(dataset.main, *arguments, "--cases", cases, "--synthetic", study.synthetic)


def test_plans_and_fingerprint_are_those_of_the_real_scans_and_so_is_every_real_case(single: Path, tuned: Path):
    for name in ("nnUNetPlans.json", "dataset_fingerprint.json"):
        assert tuned.with_name(name).read_bytes() == single.with_name(name).read_bytes()
    alone, both = content(single), content(tuned)
    assert content(tuned.with_name("dataset.json"))["synthetic_cases"] == list(FURTHER)
    alone, both = (
        {name: digest for name, digest in told["sha256"].items() if name.endswith(".b2nd")} for told in (alone, both)
    )
    assert alone.items() <= both.items()
    assert {Path(name).stem for name in both if not name.endswith("_seg.b2nd")} == {*TRAINING, *FURTHER}
    assert sorted(path.name for path in (tuned.parent / "gt_segmentations").iterdir()) == sorted(
        f"{name}.nii.gz" for name in [*TRAINING, *FURTHER]
    )


def test_a_synthetic_ct_is_normalized_by_the_real_ones(single: Path, tuned: Path, raw_tuned: Path, cases: Path):
    planned = content(single.with_name("nnUNetPlans.json"))
    found = planned["foreground_intensity_properties_per_channel"]["0"]
    voxels = blosc2.open(str(tuned.parent / "nnUNetPlans_2d" / "mr01_t1_to_ct.b2nd"), mode="r")[0]
    air = (found["percentile_00_5"] - found["mean"]) / found["std"]
    assert voxels.min() == pytest.approx(air, abs=1e-3)
    assert voxels.max() <= (found["percentile_99_5"] - found["mean"]) / found["std"] + 0.5
    own = write_preprocessed(again(raw_tuned), None)  # other plans, if it were planned by itself
    assert content(own.with_name("nnUNetPlans.json")) != planned


def again(raw_tuned: Path, name: str = "planned") -> Path:
    """Return the same raw dataset beside the first, so that its relative paths hold."""
    copy = raw_tuned.parents[2].with_name(name) / "raw" / raw_tuned.parent.name
    shutil.copytree(raw_tuned.parent, copy, symlinks=True)
    return copy / raw_tuned.name


def missing(single: Path, raw_tuned: Path) -> str:
    single.unlink()
    return r"preprocessed\.json: found no such file"


def changed(single: Path, raw_tuned: Path) -> str:
    single.with_name("nnUNetPlans.json").write_text("{}")
    return r"nnUNetPlans\.json: found sha256"


def channels(single: Path, raw_tuned: Path) -> str:
    publish_json(raw_tuned, content(raw_tuned) | {"channel_names": {"0": "T1w"}})
    return r"dataset\.json: found channel_names {'0': 'T1w'}, expected {'0': 'CT'}"


@pytest.mark.parametrize("spoil", [missing, changed, channels], ids=lambda spoil: spoil.__name__)
def test_plans_that_do_not_fit_are_refused(single: Path, raw_tuned: Path, tmp_path: Path, spoil):
    folder = tmp_path / "single" / single.parent.name
    shutil.copytree(single.parent, folder, ignore=shutil.ignore_patterns("*_2d", "gt_*"))
    raw = again(raw_tuned, tmp_path.name)
    message = spoil(folder / single.name, raw)
    with pytest.raises(InputError, match=message):
        write_preprocessed(raw, folder / single.name)
    assert not (raw.parents[2] / "preprocessed" / raw.parent.name).exists()
