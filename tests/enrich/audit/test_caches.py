"""Leaks into the slice caches."""

import json
from pathlib import Path

import numpy as np
import pytest

from enrich import config, enriched_slices, index, slices
from gan.files import seal, sha256
from tests.enrich.nnunet.study import call

from .edits import ct, edit_csv, edit_json, record_config, who
from .run import CONFIG, INDEX


def test_a_test_patient_in_a_slice_cache(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    path = root / "slices/index.csv"
    edit_csv(path, lambda rows: rows.replace({"patient": {train: test}, "case": {train: test}}))
    edit_json(root / "slices/slices.json", lambda content: content["sha256"].update({"index.csv": sha256(path)}))
    caught("slices/index.csv", f"train patient {test}, case {test}")


def test_slices_of_a_test_patient_under_another_name(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    path = root / "enriched/ct/single/index.csv"
    edit_csv(path, lambda rows: rows.replace({"case": {train: test}}))
    edit_json(path.with_name("slices.json"), lambda content: content["sha256"].update({"index.csv": sha256(path)}))
    caught("enriched/ct/single/index.csv", f"train patient {train}, case {test}", f"expected patient {test}")


@pytest.mark.parametrize("name", ["scans.csv", "splits.json"])
def test_a_slice_cache_of_other_scans_or_another_split(root, caught, name):
    other = root / f"other-{name}"
    other.write_text((root / name).read_text() + "\n")
    seal(other)
    given = {"scans": root / "scans.csv", "splits": root / "splits.json", Path(name).stem: other}
    cut(slices.main, root / "slices", given)
    caught(f"/{name}: found sha256", "slices/slices.json says")


@pytest.mark.parametrize("of", ["another index", "nothing"])
def test_enriched_slices_of_other_channels_than_their_folder_says(root, caught, of):
    enriched = {"translator": "stargan", "segmenter": "segan"}
    record_config(root, compositions=CONFIG["compositions"] | {"stargan-segan": enriched})
    given = {"scans": root / "scans.csv", "splits": root / "splits.json"}
    if of != "nothing":
        given["synthetic"] = root / INDEX.replace("index", "other")
        index.write(index.read(root / INDEX)[::-1], given["synthetic"])
    cut(enriched_slices.main, root / "enriched/ct/stargan-seed0", given, "--modality", "ct")
    caught(f"{INDEX}: found sha256", "enriched/ct/stargan-seed0/slices.json says")


def test_enriched_slices_of_channels_in_the_folder_of_the_real_one_alone(root, caught):
    given = {"scans": root / "scans.csv", "splits": root / "splits.json", "synthetic": root / INDEX}
    cut(enriched_slices.main, root / "enriched/ct/single", given, "--modality", "ct")
    caught("enriched/ct/single/slices.json: found synthetic_sha256, expected real scans only")


def cut(main, folder, given, *more):
    options = [word for name, path in given.items() for word in (f"--{name}", path)]
    sizes = ["--image-size", 64, "--intensity", json.dumps(config.resolve(CONFIG, Path("tiny.yaml"))["intensity"])]
    call(main, *options, *more, "--modalities", "ct", "t1", *sizes, "--output", folder / "index.csv")


def test_a_slice_cache_with_other_pixels(root, caught):
    path = root / "slices/images.npy"
    images = np.load(path)
    path.unlink()
    np.save(path, images + 1)
    caught("slices/images.npy", "slices.json")


def test_watched_patients_who_train(root, caught):
    watched = ct(who(root).watch)
    path = root / "slices/index.csv"
    edit_csv(path, lambda rows: rows.assign(set="train"))
    edit_json(root / "slices/slices.json", lambda content: content["sha256"].update({"index.csv": sha256(path)}))
    caught("slices/index.csv", f"train patient {watched}")
