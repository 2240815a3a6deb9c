"""Leaks in who is one person, and in which set."""

import os

import pandas as pd

from .edits import ct, edit_config, edit_csv, edit_json, who


def test_a_patient_in_two_sets(root, caught):
    test = ct(who(root).test)
    edit_json(root / "splits.json", lambda content: content["train"].append(test))
    caught("splits.json", f"patient {test} in train and test")


def test_a_patient_in_no_set(root, caught):
    train = ct(who(root).train)
    edit_json(root / "splits.json", lambda content: content["train"].remove(train))
    caught("splits.json", f"patient {train} in no set")


def test_a_patient_whom_nobody_scanned(root, caught):
    edit_json(root / "splits.json", lambda content: content["unlabelled"].append("ct99"))
    caught("splits.json", "patient ct99", "a patient of")


def test_a_labelled_patient_set_aside(root, caught):
    test = ct(who(root).test)
    edit_json(root / "splits.json", lambda content: (content["test"].remove(test), content["unlabelled"].append(test)))
    caught("splits.json", f"patient {test} in unlabelled")


def test_one_scan_under_two_patients(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)

    def twin(rows):
        digest = rows.loc[rows["case"] == train, "image_sha256"].item()
        rows.loc[rows["case"] == test, "image_sha256"] = digest
        return rows

    edit_csv(root / "scans.csv", twin)
    caught("scans.csv", *sorted([train, test]), "share the image")


def test_a_scan_replaced(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    (root / f"scans/{train}_ct_label.nii.gz").unlink()
    os.link(root / f"scans/{test}_ct_label.nii.gz", root / f"scans/{train}_ct_label.nii.gz")
    caught(f"scans/{train}_ct_label.nii.gz", "scans.csv says")


def test_sequences_of_a_person_as_two_patients(root, caught):
    def divide(rows):
        twin = rows[rows["case"] == "ct01"].assign(modality="t1", patient="ct77", image_sha256="0" * 64)
        return pd.concat([rows, twin])

    edit_csv(root / "scans.csv", divide)
    caught("scans.csv", "patients ct01, ct77", "all scans named ct01 are of one person")


def test_fewer_crossfit_folds_than_configured(root, caught):
    edit_json(root / "splits.json", lambda content: content.update(folds=[content["folds"][0] + content["folds"][1]]))
    caught("splits.json", "1 crossfit folds", "2")


def test_a_patient_in_two_crossfit_folds(root, caught):
    twice = who(root).folds[0][0]
    edit_json(root / "splits.json", lambda content: content["folds"][1].append(twice))
    caught("splits.json", f"patient {twice} in 2 crossfit folds")


def test_disjoint_patients_that_are_not(root, caught):
    edit_config(root, gan_patients="disjoint")
    caught("splits.json", "0 patients of the GAN alone", "disjoint")
