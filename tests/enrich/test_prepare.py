import dataclasses

import numpy as np
import pytest

from enrich import index, volume
from enrich.prepare import prepare, select
from gan.errors import InputError
from tests.enrich.conftest import make_scan


def test_scans_keep_their_grid_and_become_image_and_mask(scans, tmp_path):
    rows = prepare(scans, "liver", tmp_path / "scans", workers=1)
    index.write(rows, tmp_path / "scans.csv")
    read = index.read(tmp_path / "scans.csv")
    assert len(read) == 6
    for scan, (_, row) in zip(scans, read.iterrows(), strict=True):
        image, label = scan.read()
        stored = volume.read(index.file_of(tmp_path / "scans.csv", row["image"], row["image_sha256"]))
        mask = volume.read(index.file_of(tmp_path / "scans.csv", row["label"], row["label_sha256"]))
        assert volume.same_grid(stored, image)
        assert volume.same_grid(mask, image)
        assert stored.array.dtype == np.int16
        np.testing.assert_array_equal(stored.array, image.array)
        np.testing.assert_array_equal(mask.array, label.array == 2)
        assert row["target_ml"] == pytest.approx((label.array == 2).sum() * 0.015)
        assert (row["z"], row["y"], row["x"]) == image.array.shape
        assert row["spacing_z_mm"] == 5.0
    assert read["window_low_hu"].tolist()[0] == -150
    assert read["window_low_hu"].isna().tolist() == [False, False, True, True, True, True]


def test_fractional_intensities_stay_exact(tmp_path):
    scan = make_scan("mr01", "t1")
    image, label = scan.read()
    scan = dataclasses.replace(scan, voxels=lambda: (image.with_array(image.array / 7), label))
    rows = prepare([scan], "liver", tmp_path, workers=1)
    stored = volume.read(tmp_path / rows["image"][0].removeprefix("scans/"))
    np.testing.assert_array_equal(stored.array, image.array / 7)


def test_a_scan_without_label_is_legal(tmp_path):
    rows = prepare([make_scan("mr01", "t1", label=False)], "liver", tmp_path, workers=1)
    assert rows["label"].tolist() == [""]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image, label: (image.with_array(np.where(label.array, np.nan, image.array)), label), "NaN"),
        (lambda image, label: (image.with_array(np.zeros_like(image.array)), label), "constant image"),
        (lambda image, label: (image, label.with_array(label.array * 3)), r"label values \[6\]"),
        (lambda image, label: (image, dataclasses.replace(label, spacing_mm=(1.0, 1.0, 1.0))), "spacing"),
    ],
)
def test_a_bad_scan_is_refused_by_name(tmp_path, spoil, message):
    scan = make_scan("mr01", "t1")
    spoiled = dataclasses.replace(scan, voxels=lambda: spoil(*scan.voxels()))
    with pytest.raises(InputError, match=message) as caught:
        prepare([spoiled], "liver", tmp_path, workers=1)
    assert "raw/mr01" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_target_must_be_a_structure_of_the_scan(tmp_path):
    with pytest.raises(InputError, match="target kidney"):
        prepare([make_scan("mr01", "t1")], "kidney", tmp_path, workers=1)


def test_select_wants_every_modality_and_no_scan_twice(scans, tmp_path):
    assert [scan.modality for scan in select(scans, ["t2", "ct"], tmp_path)] == ["ct", "ct", "t2", "t2"]
    with pytest.raises(InputError, match="modality flair"):
        select(scans, ["ct", "flair"], tmp_path)
    with pytest.raises(InputError, match="ct01 ct twice"):
        select([*scans, scans[0]], ["ct"], tmp_path)
