"""What a bundle is given is checked before a model is loaded, and its label maps hold what those that trained held."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enrich import cohort, prepare, volume
from enrich.bundle import Bundle
from enrich.datasets import table
from enrich.volume import Volume
from gan.errors import InputError
from tests.enrich.datasets.test_dicom import write_slice

INTERNAL = {"whole_tumour": [1, 2, 3], "tumour_core": [1, 3], "enhancing_tumour": [3]}
IN_FILES = {"whole_tumour": [1, 2, 4], "tumour_core": [1, 4], "enhancing_tumour": [4]}
TOLD = {
    "modalities": ["flair", "ct"],
    "structures": {"target": ["whole_tumour"], "values": {"flair": INTERNAL, "ct": INTERNAL}},
    "label_values": {"flair": IN_FILES, "ct": IN_FILES},
    "translators": {"all": ["gan/all/all.safetensors"]},
    "intensity": {"preset": "default"},
}
BRATS_2021 = Bundle(Path(), TOLD)
PAPER = Bundle(Path(), TOLD | {"intensity": {"preset": "paper"}})


@pytest.fixture
def listed(tmp_path):
    """A table of two cases as BraTS 2021 has them: values 0, 1, 2 and 4."""
    values = np.array([0, 1, 2, 4], np.uint8)
    for name, array in (("image", np.arange(60) % 50), ("label", values[np.arange(60) % 4])):
        volume.write(Volume(array.astype(np.int16).reshape(3, 4, 5), (1.0, 1.0, 2.0)), tmp_path / f"{name}.nii.gz")
    rows = [(case, "flair", "image.nii.gz", "label.nii.gz") for case in ("one", "two")]
    pd.DataFrame(rows, columns=table.COLUMNS).to_csv(tmp_path / "cohort.csv", index=False)
    return tmp_path / "cohort.csv"


def cases(path, found=BRATS_2021, labelled=True, given=None, **more):
    rows = table.read_rows(path, label=labelled)
    return cohort.cases_of(rows, path, found, cohort.label_values(found, given), labelled, **more)


def change(path, **values):
    pd.read_csv(path, keep_default_na=False).assign(**values).to_csv(path, index=False)


def stored_label(scan, folder):
    prepare.write([scan], BRATS_2021.structures, folder / "scans.csv")
    return volume.read(folder / f"scans/{scan.case}_{scan.modality}_label.nii.gz").array


def test_label_maps_are_those_of_the_release_that_trained(listed, tmp_path):
    (scan,) = cases(listed)["one"]
    raw = volume.read(listed.with_name("label.nii.gz")).array
    assert np.array_equal(stored_label(scan, tmp_path / "work"), np.where(raw == 4, 3, raw))


def test_label_maps_of_another_release_are_told(listed, tmp_path):
    path = listed.with_name("label.nii.gz")
    raw = volume.read(path)
    volume.write(raw.with_array(np.where(raw.array == 4, 3, raw.array)), path)
    (scan,) = cases(listed)["one"]
    with pytest.raises(InputError, match=r"label\.nii\.gz: found label values \[3\], expected only \[0, 1, 2, 4\]"):
        scan.read()
    (scan,) = cases(listed, given={name: tuple(own) for name, own in INTERNAL.items()})["one"]
    assert np.array_equal(stored_label(scan, tmp_path / "work"), volume.read(path).array)


def test_labels_are_not_read_without_a_reference(listed):
    change(listed, label="nowhere.nii.gz")
    (scan,) = cases(listed, labelled=False)["one"]
    assert scan.read()[1] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"label": ["label.nii.gz", ""]}, r"cohort\.csv: found no label of the flair of case two"),
        ({"label": "broken.nii.gz"}, r"broken\.nii\.gz: found an unreadable header"),
        ({"label": "small.nii.gz"}, r"small\.nii\.gz: found a grid of shape \(1, 1, 1\)"),
        ({"image": ["image.nii.gz", "broken.nii.gz"]}, r"broken\.nii\.gz: found an unreadable header"),
        ({"image": ["image.nii.gz", "series"]}, r"no\.dcm: found an unreadable or truncated file"),
        ({"modality": ["flair", "pet"]}, "found modality pet, expected one of flair, ct"),
        ({"case": "one"}, "found a second flair of case one"),
        (
            {"case": "one", "modality": ["flair", "ct"], "patient": ["a", "b"]},
            "found case one of a and b, expected one",
        ),
    ],
)
def test_whatever_tables_and_headers_tell_is_told_before_a_model_is_loaded(listed, values, message):
    listed.with_name("broken.nii.gz").write_bytes(b"no image")
    volume.write(Volume(np.ones((1, 1, 1), np.uint8), (1.0, 1.0, 2.0)), listed.with_name("small.nii.gz"))
    listed.with_name("series").mkdir()
    (listed.with_name("series") / "no.dcm").write_bytes(b"no image")
    change(listed, **values)
    with pytest.raises(InputError, match=message):
        cases(listed)


def test_an_empty_table(listed):
    listed.write_text("case,modality,image,label\n")
    with pytest.raises(InputError, match=r"cohort\.csv: found no case, expected at least one row"):
        cases(listed)


def test_the_preset_paper_needs_a_window_of_every_ct(listed):
    change(listed, modality="ct")
    assert cases(listed, BRATS_2021)["one"][0].window_hu is None
    with pytest.raises(InputError, match=r"image\.nii\.gz: found a CT without a display window"):
        cases(listed, PAPER)
    assert cases(listed, PAPER, window_hu=(-150.0, 250.0))["one"][0].window_hu == (-150, 250)
    with pytest.raises(InputError, match="--window-hu"):
        cases(listed, PAPER, window_hu=(250.0, -150.0))


def test_a_window_of_dicom_files_is_taken(listed):
    series = listed.with_name("series")
    series.mkdir()
    for number in range(2):
        pixels = np.full((4, 6), number, np.int16)
        write_slice(series / f"{number}.dcm", pixels, (0, 0, number), WindowCenter=40, WindowWidth=400)
    change(listed, modality="ct", image="series")
    assert cases(listed, PAPER, labelled=False, window_hu=(0.0, 9.0))["one"][0].window_hu == (-160, 240)


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{}", '{"liver": 1}', '{"liver": []}', '{"liver": [0]}', '{"liver": ["1"]}']
)
def test_structures_that_are_none(text):
    with pytest.raises(InputError, match=r"--structures: found .*, expected values above 0"):
        cohort.read_structures(text)


def test_structures_that_share_other_values_than_the_segmenters():
    with pytest.raises(InputError, match="--structures: found whole_tumour "):
        cohort.label_values(BRATS_2021, cohort.read_structures('{"whole_tumour": [1, 2], "tumour_core": [1]}'))
