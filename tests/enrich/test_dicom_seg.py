"""DICOM SEG: what it needs is required before anything is segmented, and what it says is distinct."""

import highdicom
import numpy as np
import pytest
from pydicom.uid import generate_uid

from enrich import dicom_seg
from enrich.datasets import table
from gan.errors import InputError
from tests.enrich.datasets.test_dicom import write_slice

KIDNEYS = {"right_kidney": (1,), "left_kidney": (2,), "liver": (3,), "whole_tumour": (4,)}


@pytest.fixture
def series(tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    uids = {name: generate_uid() for name in ("FrameOfReferenceUID", "SeriesInstanceUID", "StudyInstanceUID")}
    for number in range(4):
        pixels = np.arange(24, dtype=np.int16).reshape(4, 6)
        write_slice(folder / f"{number}.dcm", pixels, (0, 0, number), Modality="CT", **uids)
    return folder


def rewrite(path, **tags):
    import pydicom

    data = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path)


def test_segments_of_both_sides_are_told_apart(series, tmp_path):
    dicom_seg.require_series(series)
    image = table.read_image(series)
    made = image.with_array((np.arange(image.array.size) % 5).reshape(image.array.shape).astype(np.uint8))
    dicom_seg.write_seg(made, KIDNEYS, series, tmp_path / "out.dcm")
    segments = highdicom.seg.segread(tmp_path / "out.dcm").SegmentSequence
    told = []
    for segment in segments:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        sides = [one.CodeMeaning for one in kind.get("SegmentedPropertyTypeModifierCodeSequence", ())]
        told.append((segment.SegmentLabel, kind.CodeMeaning, sides))
    assert told == [
        ("right_kidney", "Kidney", ["Right"]),
        ("left_kidney", "Kidney", ["Left"]),
        ("liver", "Liver", []),
        ("whole_tumour", "Tissue", []),
    ]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SeriesInstanceUID": ""}, r"1\.dcm: found no SeriesInstanceUID"),
        ({"FrameOfReferenceUID": generate_uid()}, "found 2 different FrameOfReferenceUID in 4 files, expected 1"),
        ({"StudyInstanceUID": generate_uid()}, "found 2 different StudyInstanceUID in 4 files, expected 1"),
    ],
)
def test_a_series_that_cannot_be_referred_to(series, tags, message):
    rewrite(series / "1.dcm", **tags)
    with pytest.raises(InputError, match=message):
        dicom_seg.require_series(series)


def test_one_slice_twice(series):
    uid = highdicom.UID()
    rewrite(series / "1.dcm", SOPInstanceUID=uid)
    rewrite(series / "2.dcm", SOPInstanceUID=uid)
    with pytest.raises(InputError, match="found 3 different SOPInstanceUID in 4 files, expected 4"):
        dicom_seg.require_series(series)


def test_no_series(series, tmp_path):
    with pytest.raises(InputError, match="found a file, expected the folder of a DICOM series"):
        dicom_seg.require_series(series / "1.dcm")


def test_no_highdicom(series, monkeypatch):
    monkeypatch.setattr(dicom_seg, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"found no highdicom, expected it: pip install 'nnenrich\[dicom\]'"):
        dicom_seg.require_series(series)


def test_what_highdicom_refuses_is_one_line(series, tmp_path):
    image = table.read_image(series)
    made = image.with_array(np.ones(image.array.shape, np.uint8))
    for path in series.iterdir():
        rewrite(path, PatientSex="X" * 17, StudyDate="yesterday")
    with pytest.raises(InputError, match="found what highdicom cannot refer to") as raised:
        dicom_seg.write_seg(made, {"liver" * 30: (1,)}, series, tmp_path / "out.dcm")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out.dcm").exists()


BROKEN = {
    "PatientName": "zqx=1=2=zqx",
    "PatientID": "zqx" * 40,
    "PatientBirthDate": "zqx",
    "PatientSex": "zqx, female",
    "StudyDate": "zqx",
    "StudyTime": "zqx",
    "StudyID": "zqx" * 40,
    "AccessionNumber": "zqx" * 40,
    "StudyInstanceUID": "zqx",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_header_that_breaks_the_standard_is_quoted_nowhere(series, tmp_path, capfd, recwarn, name):
    for path in series.iterdir():
        rewrite(path, **{name: BROKEN[name]})
    said = ""
    try:
        image = table.read_image(series)
        dicom_seg.require_series(series)
        made = image.with_array(np.ones(image.array.shape, np.uint8))
        dicom_seg.write_seg(made, {"liver": (1,)}, series, tmp_path / "out.dcm")
    except InputError as error:
        said = str(error)
    said += "".join(str(warning.message) for warning in recwarn) + "".join(capfd.readouterr())
    assert "zqx" not in said
