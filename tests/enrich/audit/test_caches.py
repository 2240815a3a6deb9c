"""Leaks into the slice caches."""

import numpy as np

from gan.files import sha256

from .edits import ct, edit_csv, edit_json, who


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
