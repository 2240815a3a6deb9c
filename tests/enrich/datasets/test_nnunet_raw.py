"""nnU-Net's raw data sets, of every kind that its own documentation knows."""

import json

import numpy as np
import pytest
from PIL import Image

from enrich import volume
from enrich.datasets import nnunet_raw
from enrich.prepare import choose, prepare
from gan.errors import InputError

TOLD = {
    "channel_names": {"0": "CT", "1": "T1w"},
    "labels": {"background": 0, "Liver": 1, "left kidney": 2},
    "file_ending": ".nii.gz",
}
REGIONS = {"background": 0, "whole tumour": [1, 2], "core": [2]}
LABEL = np.resize(np.array([0, 1, 2], np.uint8), (3, 4, 5))


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    volume.write(volume.Volume(array, (1.0, 1.0, 2.0)), path)


@pytest.fixture
def folder(tmp_path):
    """Return a data set in which every training case lacks another channel."""
    root = tmp_path / "Dataset007_Some"
    image = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    for place, name in (("imagesTr", "b_0000"), ("imagesTr", "a_0001"), ("imagesTs", "c_0000"), ("imagesTs", "c_0001")):
        write(root / place / f"{name}.nii.gz", image)
    for name in "ab":
        write(root / "labelsTr" / f"{name}.nii.gz", LABEL)
    (root / "dataset.json").write_text(json.dumps(TOLD))
    return root


def tell(folder, **changes):
    (folder / "dataset.json").write_text(json.dumps(TOLD | changes))


def test_every_channel_that_is_there(folder):
    found = list(nnunet_raw.scans(folder))
    assert [(scan.case, scan.modality) for scan in found] == [("a", "t1w"), ("b", "ct"), ("c", "ct"), ("c", "t1w")]
    assert found[0].structures == {"liver": (1,), "left_kidney": (2,)}
    image, label = found[0].read()
    assert np.array_equal(label.array, LABEL)
    assert image.spacing_mm == (1.0, 1.0, 2.0)
    assert found[-1].read()[1] is None
    assert [scan.labelled for scan in found] == [scan.read()[1] is not None for scan in found]


def test_regions_are_structures_of_several_values(folder):
    tell(folder, labels=REGIONS)
    (scan, *_) = nnunet_raw.scans(folder)
    assert scan.structures == {"whole_tumour": (1, 2), "core": (2,)}


def test_files_that_are_mapped(folder, monkeypatch):
    monkeypatch.setenv("SOMEWHERE", str(folder / "imagesTs"))
    case = {"images": [None, "$SOMEWHERE/c_0001.nii.gz"], "label": "labelsTr/a.nii.gz"}
    tell(folder, dataset={"mapped": case})
    found = list(nnunet_raw.scans(folder))
    assert [(scan.case, scan.modality) for scan in found] == [("mapped", "t1w"), ("c", "ct"), ("c", "t1w")]
    assert found[0].read()[1] is not None
    tell(folder, dataset={"mapped": case | {"images": ["gone.nii.gz"]}})
    with pytest.raises(
        InputError, match=r"gone\.nii\.gz: found no such file, expected the image of case mapped, or null"
    ):
        list(nnunet_raw.scans(folder))
    tell(folder, dataset={"mapped": case | {"images": [None]}})
    with pytest.raises(InputError, match="no image of case mapped"):
        list(nnunet_raw.scans(folder))


def test_pictures_are_volumes_of_one_slice(folder):
    for place, name, array in (("imagesTr", "p_0000", LABEL[0] * 80), ("labelsTr", "p", LABEL[0])):
        Image.fromarray(array).save(folder / place / f"{name}.png")
    tell(folder, file_ending=".png")
    (scan,) = nnunet_raw.scans(folder)
    image, label = scan.read()
    assert image.array.shape == label.array.shape == (1, 4, 5)
    assert np.array_equal(label.array[0], LABEL[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "labelsTr/a.nii.gz").unlink(), r"a\.nii\.gz: found no such file, expected the label"),
        (lambda folder: (folder / "imagesTr/a_0001.nii.gz").unlink(), r"labelsTr.a\.nii\.gz: found no image"),
        (
            lambda folder: (folder / "imagesTr/a_0001.nii.gz").rename(folder / "imagesTr/a.nii.gz"),
            "no number of a chan",
        ),
        (
            lambda folder: (folder / "imagesTr/a_0001.nii.gz").rename(folder / "imagesTr/a_0002.nii.gz"),
            "found channel 2",
        ),
        (lambda folder: (folder / "dataset.json").unlink(), r"dataset\.json: found no readable file"),
        (
            lambda folder: (folder / "dataset.json").write_text("{}"),
            "'channel_names' is a required property, expected nnU-Net's",
        ),
        (lambda folder: tell(folder, channel_names={"0": "T1-w", "1": "T1w"}), "expected names that differ"),
        (lambda folder: tell(folder, labels={"a b": 1, "a_b": 2}), "expected names that differ"),
    ],
)
def test_what_is_no_data_set_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        list(nnunet_raw.scans(folder))


@pytest.mark.parametrize("name", ["ignore", "Ignore"])
@pytest.mark.parametrize("labels", [TOLD["labels"], REGIONS])
def test_nnunets_label_of_voxels_to_leave_out_is_refused_by_name(folder, labels, name):
    write(folder / "labelsTr" / "a.nii.gz", np.where(LABEL == 0, np.uint8(3), LABEL))
    tell(folder, labels=labels | {name: 3})
    with pytest.raises(
        InputError, match=rf"dataset\.json: found the label {name}, expected none: each voxel is trained"
    ):
        next(nnunet_raw.scans(folder))


def test_an_unknown_label_is_refused(folder):
    tell(folder, labels={"background": 0, "liver": 1})
    with pytest.raises(InputError, match=r"found label values \[2\], expected only \[0, 1\]"):
        next(nnunet_raw.scans(folder)).read()


@pytest.mark.parametrize("value", [-1, 65536, 1.5, [-1, 2]])
def test_a_label_value_that_can_be_none_is_refused(folder, value):
    tell(folder, labels={"background": 0, "liver": value})
    with pytest.raises(InputError, match=r"dataset\.json: found labels\.liver"):
        next(nnunet_raw.scans(folder))


def test_a_whole_number_may_have_a_point(folder, tmp_path):
    tell(folder, labels={"background": 0.0, "liver": 1.0, "spleen": [2.0]})
    (scan, *_) = found = list(nnunet_raw.scans(folder))
    rows = prepare([scan], choose(found[:1], ["liver"]), tmp_path, workers=1)
    (label,) = tmp_path.glob("*_label.nii.gz")
    assert np.array_equal(volume.read(label).array, LABEL)
    assert rows["target_ml"].tolist() == [round(20 * 0.002, 3)]


def test_more_structures_than_a_label_map_has_values_for_are_refused(folder):
    tell(folder, labels={"background": 0} | {f"part{value}": value for value in range(1, 257)})
    with pytest.raises(InputError, match="found 256 structures or parts of them, expected 255 at most"):
        choose(list(nnunet_raw.scans(folder))[:1], ["part1"])
