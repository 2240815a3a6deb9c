"""Who is translated by which models, and a patient's channels as those models make them."""

import numpy as np
import pytest

from enrich import volume
from enrich.crossfit import Fits
from enrich.intensity import Intensity
from enrich.slices import ScanCutter, stacks, write_facts, write_slices
from enrich.splits import Splits
from enrich.synthesize import write_synthetic
from gan import checkpoint
from gan.batch import Slices
from gan.errors import InputError
from gan.files import sha256
from gan.methods import METHODS
from gan.settings import resolve
from gan.train import train
from tests.enrich.conftest import make_scan
from tests.enrich.prepared import write_scans

WHO = Splits(
    train=["ct01", "ct02", "mr01", "mr02"], watch=["mr03"], test=["mr04"], folds=[["ct01", "mr01"], ["ct02", "mr02"]]
)
CASES = {"ct01": "ct", "ct02": "ct", "mr01": "t1", "mr02": "t1", "mr03": "t1", "mr04": "t1"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with scans.csv and StarGANs of a few rounds: of all, and without each fold."""
    folder = tmp_path_factory.mktemp("study")
    scans = [make_scan(case, modality, seed=seed) for seed, (case, modality) in enumerate(CASES.items())]
    write_scans(scans, folder / "scans.csv")
    (folder / "slices").mkdir()
    write_slices(stacks(ScanCutter(folder / "scans.csv", WHO, Intensity(), 64)), folder / "slices", 64)
    write_facts(folder / "slices", ["ct", "t1"], 64, {}, {})
    stargan = METHODS["stargan"]
    keys = {"width": 4, "batch_size": 2, "rounds": 10, "learning_rate": 0.001, "ema_decay": 0.0}
    settings = resolve(stargan.paper, stargan.official, keys, "stargan")
    for fit, held_out in (("all", None), ("fold0", 0), ("fold1", 1)):
        slices = Slices(folder / "slices", held_out=held_out)
        train(slices, "stargan", settings, 0, folder / fit, {}, resume=False)
    return folder


@pytest.fixture
def models(study):
    return {fit: [study / fit / "model.pt"] for fit in ("all", "fold0", "fold1")}


def images(folder, rows):
    return {(row["case"], row["target"]): volume.read(folder / row["image"]).array for _, row in rows.iterrows()}


def test_a_model_without_a_fold_never_saw_its_patients(models):
    seen = {fit: set(checkpoint.load(path)["config"]["patients"]) for fit, (path,) in models.items()}
    assert seen["all"] == set(WHO.train)
    for number, fold in enumerate(WHO.folds):
        assert seen[f"fold{number}"] == set(WHO.train) - set(fold)


def test_there_is_no_fold_beyond_the_last(study):
    with pytest.raises(InputError, match=r"index\.csv: found no fold 2, expected a fold of cross-fitting"):
        Slices(study / "slices", held_out=2)


@pytest.mark.parametrize(("test", "expected"), [("all", "all"), ("mean", "mean"), ("fold", "fold")])
def test_everybody_is_translated_by_models_that_never_saw_them(models, test, expected):
    fits = Fits(models, WHO, test)
    assert [fits.of(patient).name for patient in WHO.train] == ["fold0", "fold1", "fold0", "fold1"]
    assert fits.of("mr03").name in ("fold0", "fold1")
    assert fits.of("mr04").name.startswith(expected)
    for patient in CASES:
        fit = fits.of(patient)
        assert all(patient not in translator.parts[0].config["patients"] for translator in fit.translators)
    parts = {"all": ["all"], "mean": ["fold0", "fold1"], "fold": [fits.of("mr04").name]}[test]
    assert fits.of("mr04").models_sha256 == [sha256(models[part][0]) for part in parts]


def test_without_folds_everybody_is_translated_by_all(models):
    fits = Fits({"all": models["all"]}, Splits(train=WHO.train, watch=WHO.watch, test=WHO.test))
    assert {fits.of(patient).name for patient in CASES} == {"all"}


def test_models_that_are_needed_must_be_there(models):
    fits = Fits({"fold0": models["fold0"]}, WHO, "mean")
    with pytest.raises(InputError, match="models for patient ct02: found none of fold1, expected some"):
        fits.of("ct02")


def test_the_mean_of_the_folds_is_their_images_mean(study, models, tmp_path):
    made = {}
    for test in ("fold0", "fold1", "mean"):
        (tmp_path / test).mkdir()
        who = WHO if test == "mean" else Splits(train=WHO.train, test=WHO.test)
        given = models if test == "mean" else {"all": models[test]}
        fits = Fits(given, who, "mean" if test == "mean" else "all")
        rows = write_synthetic(study / "scans.csv", fits, Intensity(), tmp_path / test, WHO.test)
        assert rows["case"].tolist() == ["mr04"]
        assert rows["fit"].tolist() == ["mean" if test == "mean" else "all"]
        made[test] = images(tmp_path / test, rows)["mr04", "ct"].astype(float)
    assert (made["fold0"] != made["fold1"]).any()
    assert np.abs(made["mean"] - (made["fold0"] + made["fold1"]) / 2).max() <= 1  # rounded once or twice
