"""Scans dropped at random: by patient, seeded, and never the last one."""

import json

import pytest

from enrich import index, missing, structures
from enrich.missing import draw
from gan.errors import InputError
from tests.enrich.nnunet.study import call
from tests.enrich.prepared import write_scans

EVERYBODY = {f"p{number}": {"flair", "t1", "t1ce"} for number in range(20)}


def test_the_share_of_a_modality_is_of_the_patients_who_have_it():
    some = EVERYBODY | {f"q{number}": {"flair"} for number in range(10)}
    lost = draw(some, {"t1ce": 0.5, "t1": 0.1}, seed=0)
    assert {name: len(patients) for name, patients in lost.items()} == {"t1ce": 10, "t1": 2}
    assert all(patient.startswith("p") for patients in lost.values() for patient in patients)


def test_a_draw_depends_on_the_seed_and_on_its_own_modality_alone():
    lost = draw(EVERYBODY, {"t1ce": 0.5}, seed=0)["t1ce"]
    assert draw(dict(reversed(EVERYBODY.items())), {"t1ce": 0.5, "t1": 0.2}, seed=0)["t1ce"] == lost
    assert draw(EVERYBODY, {"t1ce": 0.5}, seed=1)["t1ce"] != lost
    assert draw(EVERYBODY, {"t1": 0.5}, seed=0)["t1"] != lost


def test_nobody_loses_the_last_scan():
    pairs = {f"p{number}": {"t1", "t2"} for number in range(10)}
    lost = draw(pairs, {"t1": 0.5, "t2": 0.5}, seed=3)
    assert not lost["t1"] & lost["t2"]
    with pytest.raises(InputError, match=r"t2: 0.6, 6 of 10 patients, expected at most 5, who keep another"):
        draw(pairs, {"t1": 0.5, "t2": 0.6}, seed=3)


def test_a_modality_that_everybody_would_lose():
    with pytest.raises(InputError, match=r"t1: 0.99, 20 of 20 patients, expected at most 19"):
        draw(EVERYBODY, {"t1": 0.99}, seed=0)


def test_what_is_kept_and_what_is_dropped_lie_side_by_side(scans, tmp_path):
    whole, kept = tmp_path / "complete" / "scans.csv", tmp_path / "scans.csv"
    write_scans(scans, whole)
    call(missing.main, "--scans", whole, "--simulate", json.dumps({"t2": 0.5}), "--seed", 0, "--output", kept)
    tables = [index.read(path, index.SCANS) for path in (whole, kept, tmp_path / missing.DROPPED)]
    everything, rows, dropped = (set(zip(t["case"], t["modality"], strict=True)) for t in tables)
    assert rows | dropped == everything
    assert len(dropped) == 1
    assert {modality for _, modality in dropped} == {"t2"}
    for table in tables[1:]:
        for row in table.to_dict("records"):
            index.file_of(kept, row["image"], row["image_sha256"])
            index.file_of(kept, row["label"], row["label_sha256"])
    assert structures.read(kept) == structures.read(whole)


def test_a_modality_that_nobody_has(scans, tmp_path, capsys):
    write_scans(scans, tmp_path / "complete" / "scans.csv")
    arguments = ["--scans", tmp_path / "complete" / "scans.csv", "--seed", 0, "--output", tmp_path / "scans.csv"]
    with pytest.raises(InputError, match=r"scans.csv: found no scan of pet, expected some to drop"):
        call(missing.main, *arguments, "--simulate", json.dumps({"pet": 0.5}))
    assert not (tmp_path / "scans.csv").exists()
