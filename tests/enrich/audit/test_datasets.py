"""Leaks into nnU-Net's datasets."""

import shutil

import pytest

from enrich.audit.datasets import Added, added_to
from enrich.audit.study import Study
from gan.errors import InputError
from gan.files import publish_json

from .edits import ct, edit_json, who
from .run import DATASET, INDEX, SINGLE


def test_a_test_patient_in_a_dataset(root, caught):
    test = ct(who(root).test)

    def add(content):
        case = {
            "images": [f"../../../../../scans/{test}_ct.nii.gz"],
            "label": f"../../../../../scans/{test}_ct_label.nii.gz",
        }
        content["dataset"][test] = case

    edit_json(root / SINGLE, add)
    caught(SINGLE, f"case {test} of test patient {test}")


def test_a_test_patient_under_the_name_of_another(root, caught):
    test, train = ct(who(root).test), ct(who(root).train)
    edit_json(
        root / SINGLE,
        lambda content: content["dataset"][train].update(
            images=[f"../../../../../scans/{test}_ct.nii.gz"], label=f"../../../../../scans/{test}_ct_label.nii.gz"
        ),
    )
    caught(SINGLE, f"case {train} of test patient {test}")


def test_a_channel_of_a_test_patient(root, caught):
    test, train = ct(who(root).test), ct(who(root).train)

    def swap(content):
        images = content["dataset"][train]["images"]
        images[1] = images[1].replace(train, test)

    edit_json(root / DATASET, swap)
    caught(DATASET, f"case {train} of patients", test, "of one patient")


def test_an_image_from_nowhere(root, caught):
    shutil.copy(root / "scans/ct01_ct.nii.gz", root / "stray.nii.gz")
    train = ct(who(root).train)
    edit_json(root / SINGLE, lambda content: content["dataset"][train].update(images=["../../../../../stray.nii.gz"]))
    caught(SINGLE, "stray.nii.gz", f"case {train}")


def test_a_dataset_that_predicts_a_training_patient(root, caught):
    test, train = ct(who(root).test), ct(who(root).train)
    link = (root / SINGLE).parent / "imagesTs" / f"{test}_0000.nii.gz"
    link.unlink()
    link.symlink_to(f"../../../../../../scans/{train}_ct.nii.gz")
    caught(SINGLE, f"case {test} of patient {train} to predict")


def test_a_dataset_of_other_splits(root, caught):
    edit_json(root / SINGLE, lambda content: content["provenance"].update(splits_sha256="0" * 64))
    caught("splits.json", SINGLE)


def test_a_dataset_of_another_index(root, caught):
    edit_json(root / DATASET, lambda content: content["provenance"].update(synthetic_sha256="0" * 64))
    caught(INDEX, DATASET)


def test_synthetic_channels_in_single(root, caught):
    edit_json(root / SINGLE, lambda content: content["provenance"].update(synthetic_sha256="0" * 64))
    caught(SINGLE, "synthetic_sha256")


def test_a_folder_of_other_channels(root, caught):
    edit_json(root / SINGLE, lambda content: content["channel_names"].update({"1": "synthetic T1w"}))
    caught(SINGLE, "other channels")


def test_a_patient_in_both_sides_of_a_fold(root, caught):
    train = ct(who(root).train)
    folds = (root / SINGLE).with_name("splits_final.json")
    publish_json(folds, [{"train": [train], "val": [train]}])
    caught("splits_final.json", f"patient {train} to train and validate in fold 0")


def test_a_stranger_in_a_fold(root, caught):
    test, train = ct(who(root).test), ct(who(root).train)
    folds = (root / SINGLE).with_name("splits_final.json")
    publish_json(folds, [{"train": [train], "val": [test]}])
    caught("splits_final.json", f"cases {test}")


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ("single", (None, None)),
        ("single-labels25", (None, None)),
        ("oracle", ("synthetic", "synthetic/oracle/index.csv")),
        ("thin-a-seed12", ("synthetic", "synthetic/thin-a/seed12/index.csv")),
        ("thin-seed1-labels50", ("synthetic", "synthetic/thin/seed1/index.csv")),
        ("thin-cases-seed0-labels25-synthetic50", ("cases", "cases/thin/ct/seed0/index.csv")),
    ],
)
def test_the_name_of_a_data_set_says_what_is_in_it(finished, channels, expected):
    study = Study(finished, 1)
    kind, path = expected
    found = added_to(finished / "nnunet" / "ct" / channels, study, study.splits[0])
    assert found == Added(kind, None if path is None else finished / path)


def test_a_data_set_of_an_unknown_name_is_refused(finished):
    study = Study(finished, 1)
    with pytest.raises(InputError, match="better"):
        added_to(finished / "nnunet" / "ct" / "better", study, study.splits[0])
