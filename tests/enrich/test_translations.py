import numpy as np
import pandas as pd
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from enrich import index, volume
from enrich.cases import as_real
from enrich.translate import read_planes
from enrich.translations import read_aligned, read_picture, read_translations
from gan.errors import InputError
from gan.files import publish_json, sha256
from tests.enrich.translated import INTENSITY, write_study


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


def read(study, targets=("ct", "t1", "t2"), synthetic=True):
    path = study.synthetic if synthetic else None
    return list(read_translations(study.scans, study.splits, path, targets, INTENSITY))


def directions(found):
    return [(each.row["case"], each.source.modality, each.picture.modality, each.fit) for each in found]


def test_test_patients_in_every_direction_that_the_index_has(study):
    assert directions(read(study)) == [
        ("ct02", "ct", "t1", "all"),
        ("mr02", "t1", "ct", "fold1"),
        ("mr02", "t1", "t2", "fold1"),
        ("mr02", "t2", "t1", "fold1"),
    ]
    assert directions(read(study, ["ct"])) == [("mr02", "t1", "ct", "fold1")]


def test_synthetic_ct_is_a_scan_in_hounsfield_units(study):
    (found,) = read(study, ["ct"])
    stored = volume.read(study.synthetic.parent / "mr02_t1_to_ct.nii.gz").array
    np.testing.assert_array_equal(found.picture.scan.array, stored - 1024)
    np.testing.assert_allclose(found.picture.images, np.clip((stored - 864) / 200 - 1, -1, 1), atol=1e-6)


def test_a_synthetic_scan_of_another_orientation(study):
    found = read(study, ["t1"])[0]
    stored = volume.read(study.synthetic.parent / "ct02_ct_to_t1.nii.gz")
    assert volume.same_grid(found.picture.scan, stored)
    np.testing.assert_array_equal(found.picture.scan.array, stored.array)
    axial = volume.reorient(stored, "LPS").array
    assert found.picture.images.shape == found.picture.body.shape == found.source.images.shape == axial.shape
    np.testing.assert_allclose(found.picture.images, axial / 500 - 1, atol=1e-6)


def test_the_floor_copies_every_source_to_every_target(study):
    found = read(study, synthetic=False)
    assert [each[:3] for each in directions(found)] == [
        ("ct02", "ct", "t1"), ("ct02", "ct", "t2"), ("mr02", "t1", "ct"), ("mr02", "t1", "t2"), ("mr02", "t2", "ct"),
        ("mr02", "t2", "t1"),
    ]  # fmt: skip
    for each in found:
        inside = volume.reorient(each.source.scan, "LPS").array != 0
        difference = np.abs(each.picture.images - each.source.images)[inside]
        assert difference.max() < 0.003  # 400 HU and 1000 grey values are whole numbers


def test_the_floor_is_stored_as_an_identical_translation_would_be(study):
    for each in read(study, synthetic=False):
        source, target = each.source.modality, each.picture.modality
        size = max(each.source.images.shape[1:])
        path = study.root / each.row["image"]
        expected = as_real(read_planes(path, each.row, size, INTENSITY), source, target, INTENSITY)
        np.testing.assert_array_equal(each.picture.scan.array, expected.array)
        outside = ~create_nonzero_mask(each.source.scan.array[None])
        assert (each.picture.scan.array[outside] == (-1024 if target == "ct" else 0)).all()


def test_an_aligned_scan_is_of_the_same_case_and_grid(study):
    t1 = study.row("mr02", "t1")
    found = read_aligned(study.scans, t1, "t2", INTENSITY)
    np.testing.assert_array_equal(found.images, read_picture(study.scans, study.row("mr02", "t2"), INTENSITY).images)
    assert read_aligned(study.scans, t1, "ct", INTENSITY) is None
    path = study.root / study.row("mr02", "t2")["image"]
    moved = volume.read(path)
    volume.write(volume.Volume(moved.array, moved.spacing_mm, (0.0, 0.0, 0.0)), path)
    assert read_aligned(study.scans, t1, "t2", INTENSITY) is None


def test_what_is_not_a_translation_of_a_test_patient_is_refused(study, tmp_path):
    rows = index.read(study.synthetic, index.SYNTHETIC)
    index.write(rows[rows["case"] == "mr01"], tmp_path / "synthetic" / "index.csv")
    with pytest.raises(InputError, match=r"index\.csv: found no translation, expected one of a test patient's"):
        read(study)
    index.write(pd.concat([rows, rows.iloc[:1]]), study.synthetic)
    with pytest.raises(InputError, match="ct02 ct t1 twice"):
        read(study)
    index.write(rows, study.synthetic)
    publish_json(study.splits, {"train": ["ct01"], "watch": [], "test": [], "unlabelled": []})
    with pytest.raises(InputError, match="no labelled scan to test"):
        read(study)


def test_a_translation_on_another_grid_is_refused(study):
    rows = index.read(study.synthetic, index.SYNTHETIC)
    path = study.synthetic.parent / "mr02_t1_to_ct.nii.gz"
    volume.write(volume.read(study.synthetic.parent / "ct02_ct_to_t1.nii.gz"), path)
    with pytest.raises(InputError, match=r"mr02_t1_to_ct\.nii\.gz: found sha256"):
        read(study, ["ct"])
    rows.loc[rows["image"] == path.name, "sha256"] = sha256(path)
    index.write(rows, study.synthetic)
    with pytest.raises(InputError, match=r"mr02_t1_to_ct\.nii\.gz: found a grid of"):
        read(study, ["ct"])
