import json

import pandas as pd
import pytest

from enrich.splits import draw, read, split_scans
from gan.errors import InputError

PATIENTS = {f"ct{k:02}": ("ct",) for k in range(6)} | {f"mr{k:02}": ("t1", "t2") for k in range(6)}


def scans_of(patients=PATIENTS, unlabelled=()):
    rows = [(p, m, "" if p in unlabelled else "label") for p, modalities in patients.items() for m in modalities]
    return pd.DataFrame(rows, columns=["patient", "modality", "label"])


def test_each_set_of_modalities_is_split_by_itself():
    splits = draw(PATIENTS, train=0.5, watch=1, seed=3)
    for prefix in ("ct", "mr"):
        sizes = [sum(p.startswith(prefix) for p in group) for group in (splits.train, splits.watch, splits.test)]
        assert sizes == [2, 1, 3]
    assert sorted(splits.train + splits.watch + splits.test) == sorted(PATIENTS)


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    assert draw(PATIENTS, 0.5, 1, 3) == draw(dict(reversed(PATIENTS.items())), 0.5, 1, 3)
    assert draw(PATIENTS, 0.5, 1, 3) != draw(PATIENTS, 0.5, 1, 4)


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match="at least one to train unwatched"):
        draw({"ct01": ("ct",), "ct02": ("ct",)}, 0.5, 1, 0)


def test_patients_without_a_label_are_set_aside():
    splits = split_scans(scans_of(unlabelled={"ct00"}), {"train": 0.5, "watch": 1, "seed": 0})
    assert splits.unlabelled == ["ct00"]
    assert "ct00" not in splits.train + splits.watch + splits.test


def user_csv(tmp_path, sets):
    path = tmp_path / "split.csv"
    path.write_text("patient,set\n" + "".join(f"{patient},{name}\n" for patient, name in sets))
    return str(path)


def test_the_users_own_split_is_taken(tmp_path):
    sets = [(p, "test" if p.endswith(("4", "5")) else "train") for p in PATIENTS]
    splits = split_scans(scans_of(), user_csv(tmp_path, sets))
    assert splits.test == ["ct04", "ct05", "mr04", "mr05"]


@pytest.mark.parametrize(
    ("extra", "dropped", "message"),
    [
        ([("ct00", "test")], None, "ct00 in train and test"),
        ([("ct99", "test")], None, "patient ct99"),
        ([("ct05", "validation")], "ct05", "set validation"),
        ([], "ct05", "no set for ct05"),
    ],
)
def test_a_wrong_split_names_the_patient(tmp_path, extra, dropped, message):
    sets = [(p, "test" if p.endswith(("3", "4")) else "train") for p in PATIENTS if p != dropped]
    with pytest.raises(InputError, match=message):
        split_scans(scans_of(), user_csv(tmp_path, sets + extra))


def test_every_modality_must_train_and_test(tmp_path):
    sets = [(p, "train" if p.startswith("ct") or p == "mr01" else "test") for p in PATIENTS]
    with pytest.raises(InputError, match="no patient with a labelled ct scan to test"):
        split_scans(scans_of(), user_csv(tmp_path, sets))


def test_a_file_of_another_kind_is_refused(tmp_path):
    for content in ("", "{", "[]", '{"train": []}'):
        (tmp_path / "splits.json").write_text(content)
        with pytest.raises(InputError, match=r"splits\.json: found no readable file"):
            read(tmp_path / "splits.json")
    (tmp_path / "split.csv").write_text("")
    with pytest.raises(InputError, match="unreadable"):
        split_scans(scans_of(), str(tmp_path / "split.csv"))


def test_a_patient_in_two_sets_is_refused_on_reading(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"train": ["a", "b"], "watch": [], "test": ["b"], "unlabelled": []}))
    with pytest.raises(InputError, match="b in two sets"):
        read(path)
