"""Predictions and scores of others than the test patients, or of other files."""

import os

import pandas as pd

from gan.files import sha256

from .edits import ct, edit_csv, made_by, who
from .run import CHECKPOINT, RAW

PREDICTIONS = "nnunet/ct/single/seed0/predictions"


def test_a_prediction_replaced(root, caught):
    test = ct(who(root).test)
    path = root / PREDICTIONS / f"{test}.nii.gz"
    path.unlink()
    os.link(root / f"scans/{test}_ct.nii.gz", path)
    caught(f"{PREDICTIONS}/{test}.nii.gz", "index.csv says")


def test_a_prediction_of_a_training_patient(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    more = [{"case": train, "image": f"{test}.nii.gz", "sha256": sha256(root / PREDICTIONS / f"{test}.nii.gz")}]
    edit_csv(root / PREDICTIONS / "index.csv", lambda rows: pd.concat([rows, pd.DataFrame(more)]))
    caught(f"{PREDICTIONS}/index.csv", f"case {train} of patient {train}", "test patients only")


def test_a_test_patient_who_is_not_predicted(root, caught):
    test = ct(who(root).test)
    edit_csv(root / PREDICTIONS / "index.csv", lambda rows: rows[rows["case"] != test])
    caught(f"{PREDICTIONS}/index.csv", f"case {test} of patient {test} 0 times")


def test_a_score_under_another_patient(root, caught):
    edit_csv(root / "nnunet/ct/single/seed0/scores.csv", lambda rows: rows.assign(patient="ct99"))
    caught("nnunet/ct/single/seed0/scores.csv", "patient ct99")


def test_scores_of_another_seed(root, caught):
    edit_csv(root / "nnunet/ct/single/seed0/scores.csv", lambda rows: rows.assign(seed="1"))
    caught("nnunet/ct/single/seed0/scores.csv", "another modality or seed")


def test_a_score_that_was_changed(root, caught):
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows.assign(dice_percent="99.5"))
    caught("scores/segmentation.csv", "other values")


def test_a_score_of_no_predictions(root, caught):
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows.assign(method="better"))
    caught("scores/segmentation.csv", "'method': 'better'")


def test_a_test_patient_missing_from_the_table(root, caught):
    test = ct(who(root).test)
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows[(rows["case"] != test) | (rows["method"] != "segan")])
    caught("scores/segmentation.csv", "found 0 scores of", f"'case': '{test}'", "'method': 'segan'", "expected one")


def test_a_test_patient_twice_in_the_table(root, caught):
    test = ct(who(root).test)
    edit_csv(root / "scores/segmentation.csv", lambda rows: pd.concat([rows, rows[rows["case"] == test]]))
    caught("scores/segmentation.csv", "found 2 scores of", f"'case': '{test}'")


def test_a_row_that_was_never_scored(root, caught):
    for path in root.glob("nnunet/*/stargan-cases-seed0/seed0/scores.csv"):
        path.unlink()
    edit_csv(root / "scores/segmentation.csv", lambda rows: rows[rows["method"] != "ada"])
    caught("scores/segmentation.csv", "scores of segan, single, stargan, expected of ada, segan, single, stargan")


def test_a_prediction_by_another_network(root, caught):
    raw = root / "nnunet/ct/single" / RAW
    made_by(root / PREDICTIONS, [root / "nnunet/t1/single/seed0" / CHECKPOINT], [raw])
    caught(f"{PREDICTIONS}/made_by.json", "found other networks: a file of sha256")


def test_a_prediction_of_another_dataset(root, caught):
    network, raw = root / "nnunet/ct/single/seed0" / CHECKPOINT, root / "nnunet/t1/single" / RAW
    made_by(root / PREDICTIONS, [network], [raw])
    caught(f"{PREDICTIONS}/made_by.json", "found other inputs: a file of sha256")


def test_a_prediction_by_nobody_knows_whom(root, caught):
    (root / PREDICTIONS / "made_by.json").unlink()
    caught(f"{PREDICTIONS}/made_by.json", "no readable file")


def test_a_score_under_the_name_of_another_row(root, caught):
    edit_csv(root / "nnunet/ct/single/seed0/scores.csv", lambda rows: rows.assign(method="stargan"))
    caught("nnunet/ct/single/seed0/scores.csv", "method stargan", "single")
