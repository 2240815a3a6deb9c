"""Scores and distances of translations of others than the test patients, or by other models."""

import pytest

from enrich.audit.channels import fit_of
from enrich.audit.study import Study
from enrich.crossfit import Fits
from gan.files import sha256

from .edits import ct, edit_csv, edit_json, made_by, who
from .run import CHECKPOINT, FOLD0, INDEX, MODEL

MEAN = "translations/stargan/seed0/mean"
FLOOR = "translations/copy/seed0"


@pytest.mark.parametrize("folder", [MEAN, FLOOR, "translations/real/seed0"])
def test_a_score_of_a_training_patients_translation(root, caught, folder):
    train = ct(who(root).train)
    edit_csv(root / folder / "scores.csv", lambda rows: rows.assign(patient=train, case=train, source="ct"))
    caught(f"{folder}/scores.csv", f"case {train} ct of patient {train}", "test patients only")


def test_a_score_under_another_patient(root, caught):
    test = ct(who(root).test)
    edit_csv(root / MEAN / "scores.csv", lambda rows: rows.assign(patient=test))
    caught(f"{MEAN}/scores.csv", f"patient {test} for case")


@pytest.mark.parametrize(("folder", "fit", "expected"), [(MEAN, "all", "mean"), (FLOOR, "mean", "none")])
@pytest.mark.parametrize("name", ["scores.csv", "distances.csv"])
def test_a_score_by_another_fit(root, caught, folder, fit, expected, name):
    edit_csv(root / folder / name, lambda rows: rows.assign(fit=fit))
    caught(f"{folder}/{name}", f"translated by fit {fit}, expected {expected}")


@pytest.mark.parametrize("change", [{"method": "cyclegan"}, {"seed": "1"}])
@pytest.mark.parametrize("name", ["scores.csv", "distances.csv"])
def test_a_score_of_another_translator_or_seed(root, caught, change, name):
    edit_csv(root / MEAN / name, lambda rows: rows.assign(**change))
    caught(f"{MEAN}/{name}", "a score of another translator or seed", "expected stargan, seed0")


def test_a_distance_of_another_outer_fold(root, caught):
    edit_csv(root / MEAN / "distances.csv", lambda rows: rows.assign(outer="1"))
    caught(f"{MEAN}/distances.csv", "found outer fold 1, expected 0")


@pytest.mark.parametrize("table", ["translation", "distribution"])
@pytest.mark.parametrize("change", [{"method": "better"}, {"seed": "1"}, {"fit": "all"}])
def test_a_gathered_score_that_nothing_made(root, caught, table, change):
    ((key, value),) = change.items()
    edit_csv(root / f"scores/{table}.csv", lambda rows: rows.assign(**change))
    caught(
        f"scores/{table}.csv",
        f"'{key}': {value if key == 'seed' else repr(value)}",
        "expected one of what",
        "config.yaml has",
    )


@pytest.mark.parametrize(
    ("folder", "found"),
    [(MEAN, "t1 to ct 0 times"), (FLOOR, "t1 to ct 0 times"), ("translations/real/seed0", "t1 to t1 0 times")],
)
def test_a_direction_that_is_not_scored(root, caught, folder, found):
    edit_csv(root / folder / "scores.csv", lambda rows: rows[rows["source"] != "t1"])
    caught(f"{folder}/scores.csv", found, "expected once")


def test_a_direction_without_a_distance(root, caught):
    edit_csv(root / MEAN / "distances.csv", lambda rows: rows[rows["source"] != "t1"])
    caught(f"{MEAN}/distances.csv", "t1 to ct 0 times", "expected once")


@pytest.mark.parametrize(("table", "file"), [("translation", "scores.csv"), ("distribution", "distances.csv")])
def test_a_kind_of_models_that_is_not_scored(root, caught, table, file):
    (root / "translations/stargan/seed0/fold" / file).unlink()
    edit_csv(root / f"scores/{table}.csv", lambda rows: rows[~rows["fit"].str.startswith("fold")])
    caught(f"translations/stargan/seed0/fold/{file}: found no such file")


@pytest.mark.parametrize("table", ["translation", "distribution"])
def test_a_score_that_was_not_gathered(root, caught, table):
    edit_csv(root / f"scores/{table}.csv", lambda rows: rows[rows["fit"] != "mean"])
    caught(f"scores/{table}.csv", "found 0 scores of", "'fit': 'mean'", "expected one")


def test_a_gathered_distance_of_another_outer_fold(root, caught):
    edit_csv(root / "scores/distribution.csv", lambda rows: rows.assign(outer="1"))
    caught("scores/distribution.csv", "'outer': 1")


@pytest.mark.parametrize(
    ("table", "column"), [("translation", "s_score_percent"), ("distribution", "fid"), ("distribution", "n_fake")]
)
def test_a_gathered_score_that_was_changed(root, caught, table, column):
    edit_csv(root / f"scores/{table}.csv", lambda rows: rows.assign(**{column: "7"}))
    caught(f"scores/{table}.csv", "other values")


def test_a_segmented_translation_of_a_training_patient(root, caught):
    train = ct(who(root).train)
    edit_csv(root / MEAN / "ct/index.csv", lambda rows: rows.assign(case=train, source="ct"))
    caught(f"{MEAN}/ct/index.csv", f"case {train} ct of patient {train}", "test patients only")


def test_a_segmented_translation_replaced(root, caught):
    image = next((root / MEAN / "ct").glob("*.nii.gz"))
    image.unlink()
    image.write_bytes(b"")
    caught(f"{MEAN}/ct/{image.name}", "index.csv says")


def test_a_translation_segmented_by_another_network(root, caught):
    made_by(root / MEAN / "ct", [root / "nnunet/t1/single/seed0" / CHECKPOINT], [root / INDEX])
    caught(f"{MEAN}/ct/made_by.json", "found other networks: a file of sha256")


def test_everybody_is_translated_by_the_fit_that_synthesis_chooses(finished):
    study = Study(finished, 1)
    split = study.splits[0]
    folds = {f"fold{number}": [finished / FOLD0.replace("fold0", f"fold{number}")] for number in (0, 1)}
    for test in ("all", "fold", "mean"):
        fits = Fits(folds | {"all": [finished / MODEL]}, split.who, test)
        for patient in {*study.scans["patient"], "unlabelled", "another"}:
            assert fit_of(study, split, patient, test) == fits.of(patient).name


def test_channels_of_a_watched_patient_by_another_fit_than_is_drawn_for_her(root, caught):
    watched, study = ct(who(root).watch), Study(root, 1)
    drawn = fit_of(study, study.splits[0], watched)
    other = {"fold0": "fold1", "fold1": "fold0"}[drawn]
    model = root / FOLD0.replace("fold0", other)
    edit_csv(root / INDEX, lambda rows: rows.assign(fit=rows["fit"].where(rows["case"] != watched, other)))
    sidecar = f"synthetic/stargan/seed0/{watched}_ct_to_t1.json"
    edit_json(root / sidecar, lambda content: content.update(fit=other, models_sha256=[sha256(model)]))
    caught(sidecar, f"patient {watched} translated by fit {other}, expected {drawn}")
