"""Leaks through synthetic channels and further cases: who was translated by what."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import config, controls, index, synthesize, volume
from gan.files import sha256
from tests.enrich.nnunet.study import call

from .edits import ct, edit_config, edit_csv, edit_json, found_by, who
from .run import CONFIG, INDEX


def synthesize_again(root: Path, test: str = "mean", **models: str) -> None:
    """Synthesize with the models of other fits."""
    folder, resolved = root / "gan/stargan/all/seed0", config.resolve(CONFIG, Path("tiny.yaml"))
    fits = [option for fit, other in models.items() for option in ("--fit", fit, folder / other / "model.pt")]
    both = ["--scans", root / "scans.csv", "--splits", root / "splits.json"]
    made = ["--intensity", json.dumps(resolved["intensity"]), "--test", test, "--output", root / INDEX]
    call(synthesize.main, *both, *fits, *made)


def ct_in(patients: list[str]) -> bool:
    return any(patient.startswith("ct") for patient in patients)


def test_channels_by_models_that_saw_the_patient(root, caught):
    synthesize_again(root, fold0="fold1", fold1="fold0")
    patient = sorted(who(root).folds[0] + who(root).folds[1])[0]
    caught(f"synthetic/stargan/seed0/{patient}_", f"patient {patient} translated by", f"which was trained on {patient}")


def test_channels_by_another_fit_than_the_folds_say(root, caught):
    first = next(fold for fold in (0, 1) if ct_in(who(root).folds[fold]))
    patient = ct(who(root).folds[first])
    edit_csv(root / INDEX, lambda rows: rows.assign(fit=rows["fit"].where(rows["case"] != patient, "all")))
    caught(f"{patient}_ct_to_t1.json", f"patient {patient} translated by fit all", f"fold{first}")


def test_channels_of_test_patients_by_another_fit_than_configured(root, caught):
    edit_config(root, crossfit_test="all")
    caught(f"{ct(who(root).test)}_ct_to_t1.json", "translated by fit mean", "expected all")


def test_a_sidecar_with_another_model(root, caught):
    sidecar = f"synthetic/stargan/seed0/{ct(who(root).train)}_ct_to_t1.json"
    edit_json(root / sidecar, lambda content: content.update(models_sha256=["0" * 64]))
    caught(sidecar, "a model of sha256 000000000000…")


def test_a_sidecar_without_models(root, caught):
    sidecar = f"synthetic/stargan/seed0/{ct(who(root).train)}_ct_to_t1.json"
    edit_json(root / sidecar, lambda content: content.update(models_sha256=[]))
    caught(sidecar, "no model that translated")


def test_a_mean_of_one_fold_only(root, caught):
    sidecar = f"synthetic/stargan/seed0/{ct(who(root).test)}_ct_to_t1.json"
    edit_json(root / sidecar, lambda content: content.update(models_sha256=content["models_sha256"][:1]))
    caught(sidecar, "models of fold0", "expected of fold0, fold1")


def test_a_sidecar_of_another_source(root, caught):
    sidecar = f"synthetic/stargan/seed0/{ct(who(root).train)}_ct_to_t1.json"
    edit_json(root / sidecar, lambda content: content.update(source_sha256="0" * 64))
    caught(sidecar, "another source")


def test_channels_of_another_method(root, caught):
    folder = root / "gan/stargan"
    folder.rename(root / "gan/cyclegan")
    leftover = "model.pt, a leftover of another config, expected one of gan/stargan/*/seed0"
    caught("synthetic/stargan/seed0", "gan/cyclegan/all/seed0", leftover)


def test_a_synthetic_image_replaced(root, caught):
    image = f"synthetic/stargan/seed0/{ct(who(root).train)}_ct_to_t1.nii.gz"
    (root / image).unlink()
    os.link(root / image.replace(ct(who(root).train), ct(who(root).test)), root / image)
    caught(image, "sha256")


def test_a_channel_twice(root, caught):
    edit_csv(root / INDEX, lambda rows: pd.concat([rows, rows[:1]]))
    caught(INDEX, "ct to t1 twice")


def test_a_channel_of_a_scan_that_is_not(root, caught):
    edit_csv(root / INDEX, lambda rows: rows.assign(case=rows["case"].replace("ct01", "ct99")))
    caught(INDEX, "ct99 ct")


def test_training_patients_among_the_test_channels(root, caught):
    path = root / "synthetic/stargan/seed0-test-all/index.csv"
    train = ct(who(root).train)

    def add(rows):
        everybody = pd.read_csv(root / INDEX, dtype=str)
        return pd.concat(
            [rows, everybody[everybody["case"] == train].assign(image=f"../seed0/{train}_ct_to_t1.nii.gz")]
        )

    edit_csv(path, add)
    caught("test-all/index.csv", f"patient {train}", "test patients only")


def test_a_control_that_copies_another_patient(root, caught):
    edit_config(root, controls=["single", "copy"])
    train, test = ct(who(root).train), ct(who(root).test)
    path = root / "synthetic/copy/index.csv"
    image = f"scans/{test}_ct.nii.gz"
    row = {"case": train, "source": "ct", "target": "t1", "image": f"../../{image}", "sha256": sha256(root / image)}
    index.write(pd.DataFrame([row]), path)
    caught(image, f"a scan of patient {test}, expected one of {train}")


def write_control(root, kind):
    edit_config(root, controls=["single", kind])
    path = root / "synthetic" / kind / "index.csv"
    call(controls.main, "--kind", kind, "--scans", root / "scans.csv", "--modalities", "ct", "t1", "--output", path)
    assert found_by(root)["synthetic channels"] == []
    return path


def test_an_empty_volume_with_a_voxel_in_it(root, caught):
    path = write_control(root, "zero")
    image = path.with_name(f"{ct(who(root).train)}_ct_zero.nii.gz")
    empty = volume.read(image)
    voxels = np.zeros_like(empty.array)
    voxels[0, 0, 0] = 1
    volume.write(empty.with_array(voxels), image)
    digest = sha256(image)
    edit_csv(path, lambda rows: rows.assign(sha256=rows["sha256"].where(rows["image"] != image.name, digest)))
    caught(image.name, "found a voxel that is not 0, expected an empty volume")


def test_a_copy_that_is_another_image_of_the_patient(root, caught):
    path, train = write_control(root, "copy"), ct(who(root).train)
    image = f"../stargan/seed0/{train}_ct_to_t1.nii.gz"
    other = {"image": image, "sha256": sha256(path.parent / image)}

    def exchange(rows):
        rows.loc[rows["case"] == train, list(other)] = list(other.values())
        return rows

    edit_csv(path, exchange)
    caught("synthetic/copy/index.csv", f"another image than {train}'s ct")


def test_further_cases_by_models_that_saw_the_patient(root, caught):
    record = root / "cases/stargan/ct/seed0/cases.json"

    def swap(content):
        made = content["models_sha256"]
        made["fold0"], made["fold1"] = made["fold1"], made["fold0"]

    edit_json(record, swap)
    patient = sorted(who(root).folds[0] + who(root).folds[1])[0]
    caught("cases.json", f"patient {patient} translated by", f"which was trained on {patient}")


def test_further_cases_of_a_test_patient(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    path = root / "cases/stargan/ct/seed0/index.csv"
    edit_csv(path, lambda rows: rows.assign(patient=rows["patient"].replace(train, test)))
    caught("cases/stargan/ct/seed0/index.csv", f"of patient {test}", "one who trains")


def test_a_further_case_with_the_label_of_another(root, caught):
    train, test = ct(who(root).train), ct(who(root).test)
    path = root / "cases/stargan/ct/seed0/index.csv"
    edit_csv(path, lambda rows: rows.assign(label=rows["label"].str.replace(train, test)))
    caught("cases/stargan/ct/seed0/index.csv", f"of patient {train} with the label of {test}")


def test_a_further_case_replaced(root, caught):
    image = root / f"cases/stargan/ct/seed0/{ct(who(root).train)}_ct_by_t1.nii.gz"
    image.unlink()
    image.write_bytes(b"")
    caught("ct_by_t1.nii.gz", "sha256")
