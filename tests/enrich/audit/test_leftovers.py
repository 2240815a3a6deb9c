"""Results of another config of the run: no part of the claim, unless something of the config is made with them."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from .edits import ct, edit_config, edit_csv, edit_model, leftovers_of, record_config, who
from .run import CHECKPOINT, CONFIG, MODEL, RAW

LEFTOVERS = [
    "gan/cyclegan/ct-t1/seed0/model.pt",
    "gan/stargan/all/seed1/model.pt",
    "gan/stargan/all/seed0/fold2/model.pt",
    "gan/stargan/all/seed0/segmentor/model.pt",
    "gan/stargan/ct-t1/seed0/model.pt",
    "gan/model.pt",
    f"nnunet/ct/cyclegan-seed0/{RAW}",
    f"nnunet/ct/stargan-seed1/{RAW}",
    f"nnunet/ct/single-labels25/{RAW}",
    f"nnunet/t2/single/{RAW}",
    "synthetic/cyclegan/seed0/index.csv",
    "synthetic/stargan/seed1/index.csv",
    "synthetic/stargan/seed0-test-mean/index.csv",
    "synthetic/copy/index.csv",
    "cases/stargan/ct/seed1/index.csv",
    "enriched/ct/stargan-seed0/slices.json",
    "segmenters/segan/ct/single/seed1/model.pt",
    "nnunet/ct/single/seed1/scores.csv",
    "translations/stargan/seed1/mean/scores.csv",
    "translations/stargan/seed0/other/distances.csv",
    "outer0/gan/stargan/all/seed0/model.pt",
    "scores/other.csv",
]
METHODS = CONFIG["methods"]


@pytest.mark.parametrize("place", LEFTOVERS)
def test_results_of_another_config_are_listed_and_not_read(root, place):
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(b"")
    assert leftovers_of(root) == [place]


@pytest.mark.parametrize(
    "place",
    [
        "nnUNetTrainer__nnUNetPlans__2d/fold_0",
        "nnUNetTrainerOther__nnUNetPlans__2d/fold_all",
        "nnUNetTrainer__nnUNetResEncUNetMPlans__2d/fold_all",
    ],
)
def test_a_network_of_another_fold_trainer_or_planner_predicts_nothing(root, place):
    path = root / "nnunet/ct/single/seed0/results/Dataset001_enriched" / place / "checkpoint_final.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert leftovers_of(root) == [path.relative_to(root).as_posix()]


def test_the_rows_of_a_composition_that_is_no_more(root):
    record_config(root, compositions={})
    keep_scores_of(root, "single", "stargan", "segan")
    (root / "cases/stargan/ct/seed0/cases.json").unlink()
    ada = [f"nnunet/{modality}/stargan-cases-seed0" for modality in ("ct", "t1")]
    assert leftovers_of(root) == [
        *(f"cases/stargan/{modality}/seed0/index.csv" for modality in ("ct", "t1")),
        *(f"{row}/{name}" for row in ada for name in (RAW, f"seed0/{CHECKPOINT}", "seed0/scores.csv")),
    ]


def keep_scores_of(root, *methods):
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows[rows["method"].isin(methods)])


def test_scores_of_a_method_that_is_no_more_are_refused_in_the_tables(root, caught):
    record_config(root, methods={"stargan": METHODS["stargan"]})
    assert yaml.safe_load((root / "config.yaml").read_text())["former_methods"] == {"segan": METHODS["segan"]}
    caught("scores/segmentation.csv", "'method': 'segan'", "scores.csv, a leftover of another config, expected one of")


def test_a_method_that_is_no_more_may_leave_its_results(root):
    record_config(root, methods={"stargan": METHODS["stargan"]})
    keep_scores_of(root, "single", "stargan", "ada")
    (root / "segmenters/segan/ct/single/seed0/predictions/index.csv").unlink()
    found = leftovers_of(root)
    assert {path.split("/")[0] for path in found} == {"enriched", "segmenters"}


def test_a_translator_that_is_no_more_may_leave_its_results_and_whom_it_saw(root):
    test = ct(who(root).test)
    edit_model(root / MODEL, lambda config: config["patients"].append(test))
    record_config(root, methods={"segan": METHODS["segan"]}, compositions={})
    assert yaml.safe_load((root / "config.yaml").read_text())["former_methods"] == {"stargan": METHODS["stargan"]}
    keep_scores_of(root, "single", "segan")
    found = leftovers_of(root)
    assert {MODEL, "slices/slices.json", "scores/translation.csv", "scores/distribution.csv"} <= {*found}
    assert {path.split("/")[0] for path in found} == {
        *("cases", "gan", "nnunet", "scores", "slices", "synthetic", "translations")
    }


def test_a_former_method_may_be_one_of_another_version(root):
    edit_config(root, former_methods={"old": {"method": "newgan"}})
    assert leftovers_of(root) == []


def test_distances_of_a_seed_that_is_no_more_are_refused_in_the_tables(root, caught):
    shutil.copytree(root / "translations/stargan/seed0", root / "translations/stargan/seed1")
    for path in (*root.glob("translations/stargan/seed1/*/distances.csv"), root / "scores/distribution.csv"):
        edit_csv(path, lambda rows: rows.assign(seed=rows["seed"].where(rows["method"] == "copy", "1")))
    leftover = "distances.csv, a leftover of another config"
    caught("scores/distribution.csv", "'seed': 1", "translations/stargan/seed1", leftover)


def test_a_leak_into_a_model_of_the_config_is_no_leftover(root, caught):
    edit_config(root, seeds=[0, 1])
    model, test = root / "gan/stargan/all/seed1/model.pt", ct(who(root).test)
    model.parent.mkdir()
    os.link(root / MODEL, model)
    edit_model(model, lambda config: config["patients"].append(test))
    caught("gan/stargan/all/seed1/model.pt", f"test patient {test} in its training")


def test_predictions_by_a_network_that_is_left_over(root, caught):
    record_config(root, nnunet=CONFIG["nnunet"] | {"trainer": "nnUNetTrainerOther"})
    for modality in ("ct", "t1"):
        former = root / "nnunet" / modality / "single/seed0" / CHECKPOINT
        own = Path(str(former).replace("nnUNetTrainer_", "nnUNetTrainerOther_"))
        own.parent.mkdir(parents=True)
        os.link(former, own)
        edit_model(own, lambda arguments: arguments["settings"].update(epochs=2))
    caught("predictions/made_by.json", "found other networks: the file", "fold_all/checkpoint_final.pth, a leftover of")
