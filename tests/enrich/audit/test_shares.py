"""Data sets of other patients than the share of them that their name says."""

import json
from pathlib import Path

import pytest

from enrich.audit.study import Study

from .edits import ct, edit_config, edit_json, found_by, who
from .run import RAW, SINGLE, write_dataset

HALF = f"nnunet/ct/single-labels50/{RAW}"
HALF_OF_CHANNELS = f"nnunet/ct/stargan-seed0-labels50/{RAW}"
HALF_OF_BOTH = f"nnunet/ct/stargan-cases-seed0-labels50-synthetic50/{RAW}"
CHANNELS = ("--synthetic", "synthetic/stargan/seed0/index.csv")
FURTHER = ("--cases", "cases/stargan/ct/seed0/index.csv")


def write(root: Path, place: str, fraction: float, *added: str, synthetic: float = 1.0) -> dict:
    edit_config(root, label_fractions=[0.5], synthetic_fractions=[0.5])
    option, *indexes = added or [""]
    shares = ["--label-fraction", fraction, "--synthetic-fraction", synthetic]
    write_dataset(root, "ct", Path(place).parts[2], *shares, *([option, root / indexes[0]] if added else []))
    return json.loads((root / place).read_text())["dataset"]


def test_data_sets_of_half_the_labels_share_their_patients(root):
    everybody = json.loads((root / SINGLE).read_text())["dataset"]
    half = write(root, HALF, 0.5)
    assert len(everybody) == 2 * len(half) == 4
    assert write(root, HALF_OF_CHANNELS, 0.5, *CHANNELS).keys() == half.keys()
    assert write(root, HALF_OF_BOTH, 0.5, *FURTHER, synthetic=0.5).keys() > half.keys()
    assert found_by(root)["datasets"] == []
    assert Study(root, 1).results.all_leftovers == []


@pytest.mark.parametrize("fraction", [0.25, 0.75, 1.0])
def test_a_data_set_of_another_share(root, caught, fraction):
    write(root, HALF, fraction)
    caught(HALF, "case ct", "expected the cases of 50 % of the patients who train")


@pytest.mark.parametrize(("place", "added"), [(HALF, ()), (HALF_OF_CHANNELS, CHANNELS)])
def test_as_many_patients_but_others(root, caught, place, added):
    half, everybody = write(root, place, 0.5, *added), write(root, place, 1.0, *added)
    others = {name: case for name, case in everybody.items() if name not in half}
    edit_json(root / place, lambda content: content.update(dataset=others))
    caught(place, "of patient ct", "expected the cases of 50 %")


def test_a_patient_left_out_of_a_full_data_set(root, caught):
    train = ct(who(root).train)
    edit_json(root / SINGLE, lambda content: content["dataset"].pop(train))
    caught(SINGLE, f"no case {train} of patient {train}", "expected the cases of 100 %")


def test_a_case_under_the_name_of_another(root, caught):
    half = write(root, HALF, 0.5)
    first, second = sorted(half)
    edit_json(root / HALF, lambda content: content["dataset"].update({first: half[second], second: half[first]}))
    caught(HALF, f"case {first} of patient {second}")


def test_another_share_of_further_cases(root, caught):
    write(root, HALF_OF_BOTH, 0.5, *FURTHER, synthetic=1.0)
    caught(HALF_OF_BOTH, "case ", "expected the cases of 50 % of the patients who train and of 50 % of")


def test_a_further_case_of_a_patient_beyond_the_share(root, caught):
    half, place = write(root, HALF, 0.5), f"nnunet/ct/stargan-cases-seed0-labels50/{RAW}"
    write(root, place, 0.5, *FURTHER)
    everybody = json.loads((root / "nnunet/ct/stargan-cases-seed0" / RAW).read_text())["dataset"]
    beyond = next(name for name in everybody if name.endswith("_ct_by_t1") and name.split("_")[0] not in half)
    edit_json(root / place, lambda content: content["dataset"].update({beyond: everybody[beyond]}))
    caught(place, f"case {beyond} of patient {beyond.split('_')[0]}")
