"""The programs against the unmodified commands of nnU-Net."""

import json
import os
import subprocess
import sys
from pathlib import Path

import blosc2
import numpy as np
import pandas as pd
import pytest

from enrich import volume
from enrich.nnunet import predict
from enrich.nnunet.checkpoint import read_checkpoint
from enrich.nnunet.preprocess import preprocess
from enrich.nnunet.train import train
from gan.errors import InputError
from gan.files import publish_folder, publish_json, sha256

from .study import PATIENTS, call

SHORT = {"epochs": 1, "iterations": 2, "validation_iterations": 1, "augmentation_workers": 0}


def stock(command: str, raw: Path, folder: Path, *arguments: object) -> None:
    """Run one of nnU-Net's own commands, on folders below `folder` beside the raw one."""
    variables = {"nnUNet_raw": str(raw.parents[1])}
    variables |= {f"nnUNet_{name}": str(folder / name) for name in ("preprocessed", "results")}
    variables |= {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1", "OMP_NUM_THREADS": "1"}
    program = [str(Path(sys.executable).with_name(command)), *map(str, arguments)]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | variables, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def stock_folder(raw: Path) -> Path:
    """Our raw dataset, planned and preprocessed by nnU-Net's own command."""
    folder = raw.parents[2] / "stock"
    one = ("-npfp", 1, "-np", 1, "-c", "2d")
    stock("nnUNetv2_plan_and_preprocess", raw, folder, "-d", 1, "--verify_dataset_integrity", *one)
    return folder


@pytest.fixture(scope="session")
def checkpoints(preprocessed: Path) -> list[Path]:
    """Two folds of one model."""
    results = preprocessed.parents[2] / "results"
    return [train(preprocessed, results, fold, **SHORT) for fold in ("0", "1")]


@pytest.fixture(scope="session")
def predictions(raw: Path, checkpoints: list[Path]) -> Path:
    """`index.csv` of what the two folds predict."""
    output = raw.parents[2] / "predictions" / "index.csv"
    call(predict.main, "--dataset", raw, "--checkpoints", *checkpoints, "--no-mirroring", "--output", output)
    return output


def test_the_stock_command_plans_and_preprocesses_the_same(preprocessed: Path, stock_folder: Path):
    ours, theirs = preprocessed.parent, stock_folder / "preprocessed" / preprocessed.parent.name
    for name in ("nnUNetPlans.json", "dataset.json", "dataset_fingerprint.json", "splits_final.json"):
        assert json.loads((ours / name).read_text()) == json.loads((theirs / name).read_text()), name
    files = [path.relative_to(theirs) for path in theirs.rglob("*") if path.suffix in (".b2nd", ".gz")]
    assert len(files) == 3 * len(PATIENTS["train"] + PATIENTS["watch"])
    for file in files:
        if file.suffix == ".gz":
            assert (ours / file).read_bytes() == (theirs / file).read_bytes()
        else:
            mine, stocks = (blosc2.open(str(folder / file), mode="r")[:] for folder in (ours, theirs))
            assert np.array_equal(mine, stocks), file


def test_a_preprocessed_folder_names_what_it_holds(preprocessed: Path):
    summary = json.loads(preprocessed.read_text())
    assert (summary["plans"], summary["configuration"]) == ("nnUNetPlans", "2d")
    held = {path.relative_to(preprocessed.parent) for path in preprocessed.parent.rglob("*") if path.is_file()}
    own = {Path(name) for name in (".published", preprocessed.name, f"{preprocessed.name}.sha256")}
    assert {Path(name) for name in summary["sha256"]} == held - own
    for name, digest in summary["sha256"].items():
        assert sha256(preprocessed.parent / name) == digest
    assert not list(preprocessed.parents[1].glob(".*"))


def test_a_real_ct_alone_is_normalized_as_ct(preprocessed: Path):
    plans = json.loads((preprocessed.parent / "nnUNetPlans.json").read_text())
    assert plans["configurations"]["2d"]["normalization_schemes"] == ["CTNormalization", "ZScoreNormalization"]


def test_the_stock_command_trains_on_our_dataset(raw: Path, stock_folder: Path):
    """A real training of nnU-Net's own, of a network that is made small in the plans."""
    path = stock_folder / "preprocessed" / raw.parent.name / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    small = plans["configurations"]["2d"]
    small["patch_size"], small["batch_size"] = [16, 16], 2
    arguments = small["architecture"]["arch_kwargs"]
    arguments |= {"n_stages": 3, "features_per_stage": [4, 4, 4], "n_conv_per_stage": [1] * 3}
    arguments |= {"n_conv_per_stage_decoder": [1] * 2, "kernel_sizes": [[3, 3]] * 3}
    arguments["strides"] = [[1, 1], [2, 2], [2, 2]]
    publish_json(path.with_name("smallPlans.json"), plans | {"plans_name": "smallPlans"})
    stock(
        "nnUNetv2_train",
        raw,
        stock_folder,
        1,
        "2d",
        0,
        "-tr",
        "nnUNetTrainer_1epoch",
        "-p",
        "smallPlans",
        "-device",
        "cpu",
    )
    model = stock_folder / "results" / raw.parent.name / "nnUNetTrainer_1epoch__smallPlans__2d"
    assert (model / "fold_0" / "checkpoint_final.pth").is_file()


def test_the_stock_command_predicts_with_our_model_as_we_do(
    raw: Path, checkpoints: list[Path], predictions: Path, tmp_path: Path
):
    model = checkpoints[0].parents[1]
    processes = ("-npp", 1, "-nps", 1, "-device", "cpu", "--disable_tta")
    folders = ("-i", raw.parent / "imagesTs", "-o", tmp_path / "stock", "-m", model)
    stock("nnUNetv2_predict_from_modelfolder", raw, tmp_path, *folders, "-f", 0, 1, *processes)
    for case in PATIENTS["test"]:
        ours, theirs = (volume.read(folder / f"{case}.nii.gz") for folder in (predictions.parent, tmp_path / "stock"))
        assert np.array_equal(ours.array, theirs.array)
        assert ours.array.any()
        assert volume.same_grid(ours, theirs)


def test_predictions_say_what_made_them(raw: Path, checkpoints: list[Path], predictions: Path):
    told = json.loads((predictions.parent / "made_by.json").read_text())
    assert told == {"networks_sha256": [sha256(path) for path in checkpoints], "inputs_sha256": [sha256(raw)]}


def test_predictions_lie_on_the_scan_s_own_grid_and_are_indexed(raw: Path, predictions: Path):
    rows = pd.read_csv(predictions)
    assert rows["case"].tolist() == PATIENTS["test"]
    for row in rows.itertuples():
        path = predictions.parent / row.image
        assert sha256(path) == row.sha256
        source = volume.read(raw.parent / "imagesTs" / f"{row.case}_0000.nii.gz")
        assert volume.same_grid(volume.read(path), source)
    assert {path.name for path in predictions.parent.iterdir()} == {
        ".published",
        *(f"{name}{suffix}" for name in ("index.csv", "made_by.json") for suffix in ("", ".sha256")),
        *rows["image"],
    }


def test_a_fold_is_validated_before_its_training_counts_as_complete(checkpoints: list[Path], preprocessed: Path):
    folds = json.loads((preprocessed.parent / "splits_final.json").read_text())
    for checkpoint, fold in zip(checkpoints, folds, strict=False):
        path = checkpoint.parent / "validation" / "summary.json"
        assert path.stat().st_mtime_ns < checkpoint.stat().st_mtime_ns
        summary = json.loads(path.read_text())
        assert [Path(case["prediction_file"]).name for case in summary["metric_per_case"]] == [
            f"{name}.nii.gz" for name in fold["val"]
        ]


def test_a_model_folder_holds_what_nnunet_needs(checkpoints: list[Path]):
    model = checkpoints[0].parents[1]
    assert model.name == "nnUNetTrainer__nnUNetPlans__2d"
    assert {"dataset.json", "plans.json", "dataset_fingerprint.json"} < {path.name for path in model.iterdir()}


def test_other_trainers_keep_their_name_and_behaviour(preprocessed: Path, tmp_path: Path):
    path = train(preprocessed, tmp_path, "all", trainer="nnUNetTrainerNoMirroring", **SHORT)
    checkpoint = read_checkpoint(path)
    assert path.parents[1].name == "nnUNetTrainerNoMirroring__nnUNetPlans__2d"
    assert checkpoint["trainer_name"] == "nnUNetTrainerNoMirroring"
    assert checkpoint["inference_allowed_mirroring_axes"] is None
    assert not (path.parent / "validation").exists()


def test_another_planner_starts_from_a_clean_folder(raw: Path, tmp_path: Path):
    folder = tmp_path / "preprocessed" / raw.parent.name
    with publish_folder(folder) as former:
        (former / "nnUNetPlans_2d").mkdir()
    preprocess(raw, folder, "3d_fullres", "nnUNetPlannerResEncM", gpu_memory_gb=4.0, foreground_samples=10_000)
    assert not (folder / "nnUNetPlans_2d").exists()
    assert json.loads((folder / "preprocessed.json").read_text())["plans"] == "nnUNetResEncUNetMPlans"
    plans = json.loads((folder / "nnUNetResEncUNetMPlans.json").read_text())
    assert plans["experiment_planner_used"] == "nnUNetPlannerResEncM"
    assert list((folder / plans["configurations"]["3d_fullres"]["data_identifier"]).glob("*.b2nd"))


def test_cases_are_resampled_to_the_spacing_asked_for(raw: Path, preprocessed: Path, tmp_path: Path):
    own = json.loads((preprocessed.parent / "nnUNetPlans.json").read_text())["configurations"]["2d"]
    folder = tmp_path / "preprocessed" / raw.parent.name
    spacing = [9.0, *(2 * mm for mm in own["spacing"])]
    preprocess(raw, folder, "2d", foreground_samples=10_000, spacing_mm=spacing)
    plans = json.loads((folder / "nnUNetPlans.json").read_text())["configurations"]["2d"]
    assert plans["spacing"] == spacing[1:]
    halves = [size / 2 for size in own["median_image_size_in_voxels"]]
    assert plans["median_image_size_in_voxels"] == pytest.approx(halves, abs=0.5)


def test_bad_input_is_refused(raw: Path, preprocessed: Path, checkpoints: list[Path], tmp_path: Path):
    folder = tmp_path / raw.parent.name
    with pytest.raises(InputError, match=r"none/dataset\.json: found no such file"):
        preprocess(tmp_path / "none" / "dataset.json", folder, "2d")
    with pytest.raises(InputError, match="planner: found Nobody"):
        preprocess(raw, folder, "2d", "Nobody")
    with pytest.raises(InputError, match="expected Dataset001_enriched"):
        preprocess(raw, tmp_path / "Dataset002_other", "2d")
    with pytest.raises(InputError, match="trainer: found Nobody"):
        train(preprocessed, tmp_path / "results", "all", trainer="Nobody", **SHORT)
    with pytest.raises(InputError, match="found no such file"):
        train(tmp_path / "preprocessed.json", tmp_path / "results", "all")
    (tmp_path / "preprocessed.json").write_text("{}")
    with pytest.raises(InputError, match=r"splits_final\.json: found no such file"):
        train(tmp_path / "preprocessed.json", tmp_path / "results", "0")
    with pytest.raises(InputError, match=r"fold_9/checkpoint_final\.pth: found no such file"):
        next(predict.predict({}, [*checkpoints, checkpoints[0].parents[1] / "fold_9" / "checkpoint_final.pth"]))
    told = json.loads(raw.read_text())
    publish_json(tmp_path / "dataset.json", told | {"test_cases": []})
    with pytest.raises(InputError, match="found no test cases"):
        predict.images_to_predict(tmp_path / "dataset.json")
    publish_json(tmp_path / "dataset.json", told)
    with pytest.raises(InputError, match=r"ct06_0000\.nii\.gz: found no such file"):
        predict.images_to_predict(tmp_path / "dataset.json")
    written = ["dataset.json", "dataset.json.sha256", "preprocessed.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == written
