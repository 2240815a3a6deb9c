import pandas as pd
import pytest

from enrich.splits import Design, Splits, draw, read, split_scans
from gan.errors import InputError
from gan.files import publish_json, seal

PATIENTS = {f"ct{k:02}": ("ct",) for k in range(6)} | {f"mr{k:02}": ("t1", "t2") for k in range(6)}


DRAWN = {"train": 0.67, "watch": 1, "seed": 0}


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
    splits = split_scans(scans_of(unlabelled={"ct00"}), Design(DRAWN))
    assert splits.unlabelled == ["ct00"]
    assert "ct00" not in splits.train + splits.watch + splits.test


def user_csv(tmp_path, sets):
    path = tmp_path / "split.csv"
    path.write_text("patient,set\n" + "".join(f"{patient},{name}\n" for patient, name in sets))
    return str(path)


def test_the_users_own_split_is_taken(tmp_path):
    sets = [(p, "test" if p.endswith(("4", "5")) else "train") for p in PATIENTS]
    splits = split_scans(scans_of(), Design(user_csv(tmp_path, sets)))
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
        split_scans(scans_of(), Design(user_csv(tmp_path, sets + extra)))


def test_every_modality_must_train_and_test(tmp_path):
    sets = [(p, "train" if p.startswith("ct") or p == "mr01" else "test") for p in PATIENTS]
    with pytest.raises(InputError, match="no patient with a labelled ct scan to test"):
        split_scans(scans_of(), Design(user_csv(tmp_path, sets)))


def test_a_file_of_another_kind_is_refused(tmp_path):
    for content in ("", "{", "[]", '{"train": []}'):
        (tmp_path / "splits.json").write_text(content)
        seal(tmp_path / "splits.json")
        with pytest.raises(InputError, match=r"splits\.json: found "):
            read(tmp_path / "splits.json")
    (tmp_path / "split.csv").write_text("")
    with pytest.raises(InputError, match="unreadable"):
        split_scans(scans_of(), Design(str(tmp_path / "split.csv")))


def test_a_patient_in_two_sets_is_refused_on_reading(tmp_path):
    path = tmp_path / "splits.json"
    publish_json(path, {"train": ["a", "b"], "watch": [], "test": ["b"], "unlabelled": []})
    with pytest.raises(InputError, match="b in two sets"):
        read(path)


def everyone(splits):
    return sorted(splits.train + splits.watch + splits.test + splits.gan)


@pytest.mark.parametrize("folds", [2, 3, 6])
def test_every_patient_tests_once_over_the_outer_folds(folds):
    found = [split_scans(scans_of(), Design(DRAWN, outer_folds=folds), number) for number in range(folds)]
    assert sorted(patient for splits in found for patient in splits.test) == sorted(PATIENTS)
    for splits in found:
        assert everyone(splits) == sorted(PATIENTS)
        for prefix in ("ct", "mr"):
            assert sum(patient.startswith(prefix) for patient in splits.test) == 6 // folds
            assert sum(patient.startswith(prefix) for patient in splits.watch) == 1
    assert len({splits.watch[0] for splits in found}) > 1


def test_more_outer_folds_than_patients_are_refused():
    with pytest.raises(
        InputError, match="outer_folds: found 7, expected at most 6, the patients with a labelled ct scan"
    ):
        split_scans(scans_of(), Design(DRAWN, outer_folds=7))


def test_the_gan_s_patients_are_folded_and_nobody_else():
    splits = split_scans(scans_of(), Design(DRAWN, crossfit=3))
    assert sorted(patient for fold in splits.folds for patient in fold) == sorted(splits.train)
    for fold in splits.folds:
        assert sorted(patient[:2] for patient in fold) == ["ct", "mr"]
        assert all(splits.fold_of(patient) == splits.folds.index(fold) for patient in fold)
    assert splits.fold_of(splits.test[0]) is None
    assert split_scans(scans_of(), Design(DRAWN)).train == splits.train
    with pytest.raises(InputError, match="crossfit, patients with ct: found 3, expected at least 4"):
        split_scans(scans_of(), Design(DRAWN, crossfit=4))


def test_a_gan_of_other_patients():
    splits = split_scans(scans_of(), Design(DRAWN, gan_patients="disjoint"))
    assert everyone(splits) == sorted(PATIENTS)
    assert splits.translated_from == splits.gan
    for prefix in ("ct", "mr"):
        sizes = [sum(p.startswith(prefix) for p in group) for group in (splits.gan, splits.train)]
        assert sizes == [2, 1]


def test_the_users_csv_may_name_the_gan_s_patients(tmp_path):
    sets = [(p, {"4": "test", "3": "gan"}.get(p[-1], "train")) for p in PATIENTS]
    path = user_csv(tmp_path, sets)
    assert split_scans(scans_of(), Design(path, gan_patients="disjoint")).gan == ["ct03", "mr03"]
    with pytest.raises(InputError, match="found 2 patients of the set gan, expected those that gan_patients: all"):
        split_scans(scans_of(), Design(path))


def test_folds_of_others_than_the_gan_s_patients_are_refused_on_reading(tmp_path):
    path = tmp_path / "splits.json"
    publish_json(path, {"train": ["a", "b"], "test": ["c"], "folds": [["a"], ["c"]]})
    with pytest.raises(InputError, match="found folds of a, c, expected of a, b"):
        read(path)
    publish_json(path, {"train": ["a", "b"], "test": ["c"], "folds": [["a"], ["b"]]})
    assert read(path) == Splits(train=["a", "b"], test=["c"], folds=[["a"], ["b"]])


LACKING = {f"p{k:02}": ("ct",) if k % 4 else ("ct", "t1") for k in range(20)}


@pytest.mark.parametrize("seed", range(5))
def test_those_who_have_a_rare_modality_are_spread_over_sets_and_folds(seed):
    splits = draw(LACKING, 0.5, 0, seed)
    assert sum("t1" in LACKING[patient] for patient in splits.test) in (2, 3)
    for number in range(5):
        outer = split_scans(scans_of(LACKING), Design(DRAWN | {"seed": seed}, outer_folds=5), number)
        assert sum("t1" in LACKING[patient] for patient in outer.test) == 1


def test_more_outer_folds_than_patients_with_a_modality_are_refused():
    with pytest.raises(InputError, match="outer_folds: found 6, expected at most 5, the patients with a labelled t1"):
        split_scans(scans_of(LACKING), Design(DRAWN, outer_folds=6))


def test_a_modality_without_any_label_is_refused():
    with pytest.raises(InputError, match="split: found no labelled ct scan"):
        split_scans(scans_of(unlabelled={name for name in PATIENTS if name.startswith("ct")}), Design(DRAWN))
