"""Leaks into a GAN, or into a network that it starts from."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from enrich import config, slices
from gan.files import publish_json, sha256
from tests.enrich.nnunet.study import call

from .edits import ct, edit_config, edit_json, edit_model, found_by, who
from .run import CONFIG, FOLD0, MODEL, train_method


def test_a_gan_that_was_trained_on_a_test_patient(root, caught):
    test = ct(who(root).test)
    edit_model(root / MODEL, lambda config: config["patients"].append(test))
    caught(MODEL, f"test patient {test} in its training")


def test_slices_of_a_test_patient_and_a_gan_of_them(root, caught):
    split, test = who(root), ct(who(root).test)
    leaky = root.parent / "leaky.json"
    publish_json(leaky, asdict(split) | {"train": [*split.train, test], "test": [], "folds": []})
    resolved = config.resolve(CONFIG, Path("tiny.yaml"))
    arguments = ["--scans", root / "scans.csv", "--splits", leaky, "--modalities", "ct", "t1", "--image-size", 64]
    call(
        slices.main, *arguments, "--intensity", json.dumps(resolved["intensity"]), "--output", root / "slices/index.csv"
    )
    train_method(root / "slices", "stargan", (root / MODEL).parent)
    caught("slices/index.csv", f"train patient {test}")


def test_a_gan_of_other_slices(root, caught):
    edit_model(root / MODEL, lambda config: config["slices"].update({"images.npy": "0" * 64}))
    caught("slices/images.npy", MODEL)


def test_a_gan_of_a_watched_patient(root, caught):
    watched = ct(who(root).watch)
    edit_model(root / MODEL, lambda config: config["patients"].append(watched))
    caught(MODEL, f"patient {watched} in its training", "only patients who train the GAN")


def test_a_patient_without_a_label_trains_gans_that_read_none_and_no_other(root):
    patient = ct(who(root).train)

    def without_label(split: dict) -> None:
        split["train"].remove(patient)
        split["folds"] = [[name for name in fold if name != patient] for fold in split["folds"]]
        split["unlabelled"].append(patient)

    edit_json(root / "splits.json", without_label)
    assert not any(patient in line for line in found_by(root)["translators"])
    edit_config(root, methods=CONFIG["methods"] | {"stargan": {"method": "targan", "width": 4}})
    assert any(f"{patient} in its training" in line for line in found_by(root)["translators"])


def test_a_gan_of_nobody(root, caught):
    edit_model(root / MODEL, lambda config: config["patients"].clear())
    caught(MODEL, "no patient")


def test_a_gan_under_another_seed(root, caught):
    edit_model(root / MODEL, lambda config: config.update(seed=1))
    caught(MODEL, "found seed 1, expected 0")


def test_a_gan_that_did_not_leave_its_fold_out(root, caught):
    (root / FOLD0).unlink()
    train_method(root / "slices", "stargan", (root / FOLD0).parent)
    caught(FOLD0, ", ".join(sorted(who(root).folds[0])), "fold0")


def test_a_network_to_start_from_that_is_not_there(root, caught):
    edit_model(root / MODEL, lambda config: config["pretrained"].update(segmentor="0" * 64))
    caught(MODEL, "a start from a network of sha256 000000000000…", "its own segmentor")


def test_a_start_from_a_leftover(root, caught):
    network = root / MODEL.replace("model.pt", "segmentor/model.pt")
    network.parent.mkdir()
    os.link(root / MODEL, network)
    edit_model(root / MODEL, lambda config: config["pretrained"].update(segmentor=sha256(network)))
    caught(MODEL, f"a start from the network {network}, a leftover of another config", "its own segmentor")


def test_a_network_to_start_from_that_saw_a_test_patient(root, caught):
    test, folder = ct(who(root).test), as_tc_mgan(root)
    network, model = folder / "segmentor/model.pt", folder / "model.pt"
    edit_model(network, lambda config: config["patients"].append(test))
    edit_model(model, lambda config: config["pretrained"].update(segmentor=sha256(network)))
    caught("from-ct/seed0/model.pt", f"test patient {test} in its training")


def test_a_start_from_the_network_of_all_folds(root, caught):
    folder = as_tc_mgan(root)
    network, model = folder / "segmentor/model.pt", folder / "fold0/model.pt"
    edit_model(network, lambda config: config.update(patients=who(root).folds[1][:1]))
    edit_model(model, lambda config: config["pretrained"].update(segmentor=sha256(network)))
    caught("from-ct/seed0/fold0/model.pt", f"a start from {network}", "its own segmentor")


def as_tc_mgan(root: Path) -> Path:
    """Make the GAN one that starts from a segmentor; return the folder of its seed."""
    edit_config(root, methods={"stargan": {"method": "tc_mgan"}, "segan": {}})
    folder = root / "gan/stargan/from-ct"
    (root / "gan/stargan/all").rename(folder)
    (folder / "seed0/segmentor").mkdir()
    os.link(folder / "seed0/model.pt", folder / "seed0/segmentor/model.pt")
    return folder / "seed0"


def test_a_gan_of_the_segmenters_patients_is_caught_where_they_are_to_be_disjoint(root):
    before = who(root)
    edit_config(root, gan_patients="disjoint", crossfit=0)
    edit_json(
        root / "splits.json", lambda found: found.update(train=before.train[-1:], gan=before.train[:-1], folds=[])
    )
    found = found_by(root)
    assert found["patients"] == found["configuration"] == []
    shared, moved = before.train[-1], ct(before.train[:-1])
    expected = f"{root / MODEL}: found patient {shared} in its training, expected only patients who train the GAN"
    assert expected in found["translators"]
    assert any(
        f"case {moved} of patient {moved}, expected patients who train the seg" in line for line in found["datasets"]
    )
