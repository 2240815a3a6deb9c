"""Results of another config of the run: no part of the claim, unless something of the config is made with them."""

import os
import shutil
from pathlib import Path

import pytest

from .edits import ct, edit_config, edit_csv, edit_model, leftovers_of, who
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
]


@pytest.mark.parametrize("place", LEFTOVERS)
def test_results_of_another_config_are_listed_and_not_read(root, place):
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(b"")
    assert leftovers_of(root) == [place]


def test_a_network_of_another_fold_or_trainer_predicts_nothing(root):
    results = root / "nnunet/ct/single/seed0/results/Dataset001_enriched"
    model = results / "nnUNetTrainer__nnUNetPlans__2d"
    for place in (model / "fold_0", results / "nnUNetTrainerOther__nnUNetPlans__2d" / "fold_all"):
        place.mkdir(parents=True)
        (place / "checkpoint_final.pth").write_bytes(b"")
    assert len(leftovers_of(root)) == 2


def test_the_rows_of_a_composition_that_is_no_more(root):
    edit_config(root, compositions={})
    (root / "cases/stargan/ct/seed0/cases.json").unlink()
    ada = "nnunet/ct/stargan-cases-seed0"
    assert leftovers_of(root) == ["cases/stargan/ct/seed0/index.csv", f"{ada}/{RAW}", f"{ada}/seed0/{CHECKPOINT}"]


def test_scores_of_a_method_that_is_no_more_are_refused_in_the_tables(root, caught):
    edit_config(root, methods={"stargan": CONFIG["methods"]["stargan"]})
    caught("scores/segmentation.csv", "'method': 'segan'", "scores.csv, a leftover of another config, expected one of")


def test_a_method_that_is_no_more_may_leave_its_results(root):
    edit_config(root, methods={"stargan": CONFIG["methods"]["stargan"]})
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows[rows["method"] != "segan"])
    (root / "segmenters/segan/ct/single/seed0/predictions/index.csv").unlink()
    found = leftovers_of(root)
    assert {path.split("/")[0] for path in found} == {"enriched", "segmenters"}


def test_distances_of_a_seed_that_is_no_more_are_refused_in_the_tables(root, caught):
    shutil.copytree(root / "translations/stargan/seed0", root / "translations/stargan/seed1")
    for path in (root / "translations/stargan/seed1/mean/distances.csv", root / "scores/distribution.csv"):
        edit_csv(path, lambda rows: rows.assign(seed=rows["seed"].where(rows["method"] == "copy", "1")))
    leftover = "translations/stargan/seed1/mean/distances.csv, a leftover of another config"
    caught("scores/distribution.csv", "'seed': 1", leftover)


def test_a_leak_into_a_model_of_the_config_is_no_leftover(root, caught):
    edit_config(root, seeds=[0, 1])
    model, test = root / "gan/stargan/all/seed1/model.pt", ct(who(root).test)
    model.parent.mkdir()
    os.link(root / MODEL, model)
    edit_model(model, lambda config: config["patients"].append(test))
    caught("gan/stargan/all/seed1/model.pt", f"test patient {test} in its training")


def test_predictions_by_a_network_that_is_left_over(root, caught):
    edit_config(root, nnunet=CONFIG["nnunet"] | {"trainer": "nnUNetTrainerOther"})
    for modality in ("ct", "t1"):
        former = root / "nnunet" / modality / "single/seed0" / CHECKPOINT
        own = Path(str(former).replace("nnUNetTrainer_", "nnUNetTrainerOther_"))
        own.parent.mkdir(parents=True)
        os.link(former, own)
        edit_model(own, lambda arguments: arguments["settings"].update(epochs=2))
    caught("predictions/made_by.json", "found other networks: the file", "fold_all/checkpoint_final.pth, a leftover of")
