"""Scans that the user lists."""

import numpy as np
import pandas as pd
import pytest

from enrich import volume
from enrich.datasets import scans as read_scans
from enrich.datasets import table
from enrich.intensity import Intensity, normalize
from gan.errors import InputError
from tests.enrich.datasets.test_dicom import write_slice
from tests.real import real

STRUCTURES = {"tumour": (4, 5, 6, 7)}


@pytest.fixture
def listed(tmp_path):
    for name in ("a", "b", "label"):
        array = np.arange(60, dtype=np.int16).reshape(3, 4, 5) % (8 if name == "label" else 99)
        volume.write(volume.Volume(array, (1.0, 1.0, 2.0)), tmp_path / f"{name}.nii.gz")
    rows = [("one", "flair", "a.nii.gz", "label.nii.gz"), ("one", "t1", "b.nii.gz", ""), ("two", "t1", "b.nii.gz", "")]
    pd.DataFrame(rows, columns=table.COLUMNS).to_csv(tmp_path / "scans.csv", index=False)
    return tmp_path / "scans.csv"


def change(path, **values):
    rows = pd.read_csv(path, keep_default_na=False)
    rows.assign(**values).to_csv(path, index=False)


def test_every_row_is_a_scan(listed):
    found = list(read_scans("table", listed, structures={"tumour": [4, 5, 6, 7], "rest": [1, 2, 3]}))
    assert [(scan.case, scan.patient, scan.modality) for scan in found] == [
        ("one", "one", "flair"),
        ("one", "one", "t1"),
        ("two", "two", "t1"),
    ]
    assert found[0].structures == {"tumour": (4, 5, 6, 7), "rest": (1, 2, 3)}
    assert [scan.read()[1] is None for scan in found] == [False, True, True]
    assert [scan.labelled for scan in found] == [True, False, False]
    assert [scan.case for scan in table.scans(listed.parent, STRUCTURES)] == ["one", "one", "two"]


def test_two_cases_of_one_patient(listed):
    change(listed, patient="p1")
    assert {scan.patient for scan in table.scans(listed, STRUCTURES)} == {"p1"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": "gone.nii.gz"}, r"gone\.nii\.gz: found no such file, expected the image of case one"),
        ({"modality": ""}, "found no modality of case one"),
        ({"case": ""}, r"found no case of case \(none\)"),
        ({"case": "../out"}, r"found the case '\.\./out', expected a name"),
        ({"case": "a\nb"}, r"found the case 'a\\nb', expected a name"),
        ({"modality": "T1 post"}, "found the modality 'T1 post', expected a name"),
        ({"more": "x"}, "found the columns case, modality, image, label, more"),
    ],
)
def test_what_is_no_list_of_scans_is_refused(listed, values, message):
    change(listed, **values)
    with pytest.raises(InputError, match=message):
        list(table.scans(listed, STRUCTURES))


def test_a_table_that_is_not_there_and_one_without_structures(tmp_path, listed):
    with pytest.raises(InputError, match=r"none\.csv: found no such file"):
        list(table.scans(tmp_path / "none.csv", STRUCTURES))
    with pytest.raises(InputError, match="reader table: found no option, expected structures"):
        list(read_scans("table", listed))
    with pytest.raises(InputError, match="reader chaos: found release, expected no option"):
        list(read_scans("chaos", listed.parent, release="2021"))


def write_series(folder, places=(0, 3, 6), name="a", **tags):
    folder.mkdir(exist_ok=True)
    for index, z in enumerate(places):
        pixels = np.arange(20, dtype=np.int16).reshape(4, 5) + index
        write_slice(folder / f"{name}{index}.dcm", pixels, (0, 0, z), **tags)
    return folder


def test_a_folder_with_a_series_is_a_scan(tmp_path):
    ids = {"PatientID": "p", "StudyInstanceUID": "1.2", "FrameOfReferenceUID": "1.3", "SeriesInstanceUID": "1.4"}
    for folder in (write_series(tmp_path / "named", **ids), write_series(tmp_path / "anonymous")):
        assert table.read_image(folder).array.shape == (3, 4, 5)


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("PatientID", "2 patients"),
        ("StudyInstanceUID", "2 studies"),
        ("FrameOfReferenceUID", "2 frames of reference"),
        ("SeriesInstanceUID", "2 series"),
    ],
)
@pytest.mark.parametrize("values", [("1.2", "1.3"), ("1.2", None)])
def test_series_that_would_fit_together_are_not_merged(tmp_path, tag, found, values):
    for name, value, places in zip("ab", values, [(0, 3, 6), (9, 12, 15)], strict=True):
        folder = write_series(tmp_path / "series", places, name, **({} if value is None else {tag: value}))
    message = rf"series: found {found} \({tag} of a2\.dcm and b2\.dcm differ\), expected one DICOM series"
    with pytest.raises(InputError, match=message):
        table.read_image(folder)


def test_a_series_of_ct_has_its_display_window(listed):
    write_series(listed.parent / "series", WindowCenter=50, WindowWidth=400)
    change(listed, case=["a", "b", "c"], image=["series", "series", "a.nii.gz"], modality=["ct", "t1", "ct"], label="")
    found = list(table.scans(listed, STRUCTURES))
    assert [scan.window_hu for scan in found] == [(-150, 250), None, None]
    image, _ = found[0].read()
    images, _ = normalize(image.array, "ct", Intensity(preset="paper"), found[0].window_hu, found[0].path)
    np.testing.assert_allclose(images, (image.array + 150) / 200 - 1, atol=1e-6)


def test_a_folder_of_ct_without_a_series_is_refused(listed):
    (listed.parent / "series").mkdir()
    change(listed, image="series", modality="ct", label="")
    with pytest.raises(InputError, match="series: found no file, expected those of one DICOM series"):
        list(table.scans(listed, STRUCTURES))


def test_real_slices_of_2013_through_a_table(tmp_path):
    root, rows = real("brats2013_2d"), []
    for case in sorted(path for part in ("TrainingData", "TestingData") for path in (root / part).iterdir()):
        files = {path.name: path for path in case.rglob("*.nii.gz")}
        label = next(path for name, path in files.items() if "truth" in name.lower())
        for modality, ending in (("flair", "FLAIR"), ("t1", "T1"), ("t1ce", "T1C"), ("t2", "T2")):
            (image,) = (path for name, path in files.items() if f"_{ending}_" in name)
            rows.append((case.name, modality, image, label))
    pd.DataFrame(rows, columns=table.COLUMNS).to_csv(tmp_path / "scans.csv", index=False)
    found = list(table.scans(tmp_path, STRUCTURES | {"tissue": (1, 2, 3)}))
    assert len(found) == 8 * 4
    for scan in found:
        image, label = scan.read()
        assert image.array.shape == label.array.shape
        assert image.array.shape[0] == 1
        assert np.isin(label.array, STRUCTURES["tumour"]).any()
