import numpy as np
import pandas as pd
import pytest

from enrich import index
from enrich.intensity import Intensity
from enrich.prepare import prepare
from enrich.slices import stacks, write_slices
from enrich.splits import Splits
from gan.errors import InputError

WHO = Splits(train=["ct01", "ct02", "mr01"], watch=[], test=["mr02"], unlabelled=[])


@pytest.fixture
def scans_csv(scans, tmp_path):
    index.write(prepare(scans, "liver", tmp_path / "scans", workers=1), tmp_path / "scans.csv")
    return tmp_path / "scans.csv"


def read_cache(folder):
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "targets", "body")]
    return pd.read_csv(folder / "index.csv"), *arrays


def test_the_cache_holds_the_training_patients_and_nobody_else(scans_csv, tmp_path):
    who = Splits(train=["ct01", "mr01"], watch=["ct02"], test=["mr02"], unlabelled=[])
    write_slices(stacks(scans_csv, who, Intensity()), tmp_path, 32)
    rows, images, targets, body = read_cache(tmp_path)
    assert set(rows["patient"]) == {"ct01", "mr01", "ct02"}
    assert rows.groupby("set")["patient"].unique().map(sorted).to_dict() == {
        "train": ["ct01", "mr01"],
        "watch": ["ct02"],
    }
    assert rows["row"].tolist() == list(range(len(rows)))
    assert images.shape == targets.shape == body.shape == (len(rows), 32, 32)
    assert (images.dtype, targets.dtype, body.dtype) == (np.float16, np.uint8, np.uint8)
    assert images.min() >= -1
    assert images.max() <= 1
    assert rows["target_pixels"].tolist() == targets.sum(axis=(1, 2)).tolist()
    assert (targets <= body).all()


def test_an_oblique_scan_is_cut_along_the_same_axis_as_the_others(scans_csv, tmp_path):
    write_slices(stacks(scans_csv, WHO, Intensity()), tmp_path, 32)
    rows, _, targets, _ = read_cache(tmp_path)
    slices = rows.groupby("case")["slice"].count()
    assert slices["ct01"] == 6
    assert slices["ct02"] > 20
    y, x = (axis.mean() for axis in np.nonzero(targets[rows["case"] == "ct01"])[1:])
    assert y == pytest.approx(15.5, abs=1)
    assert x < 15


def test_slices_without_a_target_anywhere_are_refused(scans, tmp_path):
    import dataclasses

    for scan in scans:
        image, label = scan.read()
        empty = label.with_array(np.zeros_like(label.array))
        scans[scans.index(scan)] = dataclasses.replace(scan, voxels=lambda image=image, empty=empty: (image, empty))
    index.write(prepare(scans, "liver", tmp_path / "scans", workers=1), tmp_path / "scans.csv")
    with pytest.raises(InputError, match="found an empty target in all slices"):
        write_slices(stacks(tmp_path / "scans.csv", WHO, Intensity()), tmp_path, 32)


def test_a_changed_scan_is_refused(scans_csv, tmp_path):
    path = tmp_path / "scans" / "ct01_ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"ct01_ct\.nii\.gz: found sha256"):
        write_slices(stacks(scans_csv, WHO, Intensity()), tmp_path, 32)
