"""A GAN of its own patients, of whom no segmenter is trained: from the split to the synthetic scans."""

import json

import pandas as pd
import pytest

from enrich import index, slices, splits, synthesize
from gan import checkpoint
from gan import train as gan_train
from tests.enrich.conftest import make_scan
from tests.enrich.nnunet.study import call
from tests.enrich.prepared import write_scans

DESIGN = {"split": {"train": 0.75, "watch": 0, "seed": 0}, "outer_folds": 0, "crossfit": 0, "gan_patients": "disjoint"}
INTENSITY = json.dumps({"preset": "default"})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with a split, the slices of those who train the GAN, a StarGAN and what it synthesizes."""
    folder = tmp_path_factory.mktemp("disjoint")
    scans = [make_scan(f"{kind}{number}", kind, seed=number) for kind in ("ct", "t1") for number in range(4)]
    write_scans(scans, folder / "scans.csv")
    both = ["--scans", folder / "scans.csv", "--splits", folder / "splits.json"]
    call(splits.main, *both[:2], "--design", json.dumps(DESIGN), "--output", folder / "splits.json")
    sizes = ["--modalities", "ct", "t1", "--image-size", 64, "--intensity", INTENSITY]
    call(slices.main, *both, *sizes, "--output", folder / "slices" / "index.csv")
    settings = ["--method", "stargan", "--settings", json.dumps({"width": 4, "batch_size": 2, "rounds": 1})]
    call(gan_train.main, "--slices", folder / "slices", *settings, "--output", folder / "gan")
    made = ["--fit", "all", folder / "gan" / "model.pt", "--intensity", INTENSITY]
    call(synthesize.main, *both, *made, "--output", folder / "synthetic" / "index.csv")
    return folder


def test_the_gan_sees_its_own_patients_and_translates_everybody(study):
    who = splits.read(study / "splits.json")
    everybody = {f"{kind}{number}" for kind in ("ct", "t1") for number in range(4)}
    assert who.gan
    assert who.train
    assert {*who.gan, *who.train, *who.test} == everybody
    assert len(who.gan) + len(who.train) + len(who.test) == len(everybody)
    cache = pd.read_csv(study / "slices" / "index.csv")
    assert set(cache["patient"]) == set(who.gan)
    assert set(cache["set"]) == {"train"}
    assert checkpoint.load(study / "gan" / "model.pt")["config"]["patients"] == sorted(who.gan)
    made = index.read(study / "synthetic" / "index.csv", [*index.SYNTHETIC, "fit"])
    assert set(made["case"]) == everybody
    assert set(made["fit"]) == {"all"}
