import numpy as np
import pandas as pd
import pytest

from enrich.intensity import Intensity
from enrich.slices import ScanCutter, stacks, write_slices
from enrich.splits import Splits
from gan.errors import InputError
from tests.enrich.prepared import write_scans

WHO = Splits(train=["ct01", "ct02", "mr01"], watch=[], test=["mr02"], unlabelled=[])


@pytest.fixture
def scans_csv(scans, tmp_path):
    write_scans(scans, tmp_path / "scans.csv")
    return tmp_path / "scans.csv"


def read_cache(folder):
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "targets", "body")]
    return pd.read_csv(folder / "index.csv"), *arrays


def test_the_cache_holds_the_training_patients_and_nobody_else(scans_csv, tmp_path):
    who = Splits(train=["ct01", "mr01"], watch=["ct02"], test=["mr02"], unlabelled=[])
    write_slices(stacks(ScanCutter(scans_csv, who, Intensity(), 32)), tmp_path, 32)
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


def test_scans_without_a_label_are_there_for_gans_that_need_none(scans, tmp_path):
    import dataclasses

    def without_label(scan):
        return dataclasses.replace(scan, voxels=lambda: (scan.read()[0], None))

    write_scans(
        [without_label(scan) if scan.patient in ("ct02", "mr02") else scan for scan in scans], tmp_path / "scans.csv"
    )
    who = Splits(train=["ct01", "ct02"], watch=[], test=["mr01"], unlabelled=["mr02"])
    write_slices(stacks(ScanCutter(tmp_path / "scans.csv", who, Intensity(), 32)), tmp_path, 32)
    rows, images, targets, _ = read_cache(tmp_path)
    assert rows.groupby("patient")["labelled"].agg(set).to_dict() == {"ct01": {1}, "ct02": {0}, "mr02": {0}}
    assert set(rows["set"]) == {"train"}
    unlabelled = rows["labelled"] == 0
    assert not targets[unlabelled].any()
    assert images[unlabelled].max() > 0.5


def test_an_oblique_scan_is_cut_along_the_same_axis_as_the_others(scans_csv, tmp_path):
    write_slices(stacks(ScanCutter(scans_csv, WHO, Intensity(), 32)), tmp_path, 32)
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
    write_scans(scans, tmp_path / "scans.csv")
    with pytest.raises(InputError, match="found an empty target in all slices"):
        write_slices(stacks(ScanCutter(tmp_path / "scans.csv", WHO, Intensity(), 32)), tmp_path, 32)


def test_a_changed_scan_is_refused(scans_csv, tmp_path):
    path = tmp_path / "scans" / "ct01_ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"ct01_ct\.nii\.gz: found sha256"):
        write_slices(stacks(ScanCutter(scans_csv, WHO, Intensity(), 32)), tmp_path, 32)


def test_any_number_of_processes_writes_the_same_bytes(scans_csv, tmp_path):
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        write_slices(stacks(ScanCutter(scans_csv, WHO, Intensity(), 32), workers), tmp_path / str(workers), 32)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_what_a_process_refuses_is_told_as_if_there_were_one(scans_csv, tmp_path):
    path = tmp_path / "scans" / "ct01_ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"ct01_ct\.nii\.gz: found sha256 .*… as .*scans\.csv says$"):
        list(stacks(ScanCutter(scans_csv, WHO, Intensity(), 32), 2))


def test_what_is_kept_of_a_scan_does_not_keep_its_voxels(scans_csv):
    for stack in stacks(ScanCutter(scans_csv, WHO, Intensity(), 32)):
        arrays = [stack.images, stack.targets, stack.body, stack.corner.array]
        assert all(array.base is None or array.base.nbytes == array.nbytes for array in arrays)
        assert stack.corner.array.nbytes == 4
