"""Task01 of the Medical Segmentation Decathlon, in its own layout."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from enrich.datasets import msd
from gan.errors import InputError

TOLD = {
    "name": "BRATS",
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
}
SHAPE = (3, 4, 5)


def write_nifti(path, array, spacing):
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing(spacing)
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps(TOLD))
    voxels = np.arange(60, dtype=np.float32).reshape(SHAPE)
    for place, number in (("imagesTr", 1), ("imagesTr", 2), ("imagesTs", 3)):
        four = np.stack([voxels + 100 * channel for channel in range(4)])
        write_nifti(tmp_path / place / f"BRATS_00{number}.nii.gz", four, (1, 1, 2, 1))
    for number in (1, 2):
        label = np.resize(np.arange(4, dtype=np.uint8), SHAPE)
        write_nifti(tmp_path / "labelsTr" / f"BRATS_00{number}.nii.gz", label, (1, 1, 2))
    return tmp_path


def test_every_sequence_of_every_case(folder):
    found = list(msd.scans(folder))
    assert [scan.modality for scan in found] == 3 * ["flair", "t1", "t1ce", "t2"]
    assert [scan.case for scan in found][::4] == ["BRATS_001", "BRATS_002", "BRATS_003"]
    for number, scan in enumerate(found[:4]):
        image, label = scan.read()
        assert image.array.shape == label.array.shape == SHAPE
        assert image.spacing_mm == (1, 1, 2)
        assert image.array[0, 0, 0] == 100 * number
        counts = {name: int(np.isin(label.array, values).sum()) for name, values in scan.structures.items()}
        assert counts == {"whole_tumour": 45, "tumour_core": 30, "enhancing_tumour": 15}
    assert found[-1].read()[1] is None
    assert [scan.labelled for scan in found] == [scan.read()[1] is not None for scan in found]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "labelsTr/BRATS_001.nii.gz").unlink(), r"labelsTr.BRATS_001\.nii\.gz: found no such"),
        (lambda folder: (folder / "imagesTr/BRATS_001.nii.gz").unlink(), r"BRATS_001\.nii\.gz: found no image of its"),
        (lambda folder: (folder / "dataset.json").unlink(), r"dataset\.json: found no readable file"),
        (
            lambda folder: (folder / "dataset.json").write_text(json.dumps(TOLD | {"labels": {"1": "liver"}})),
            r"labels \{'1': 'liver'\}, expected that of Task01",
        ),
    ],
)
def test_what_is_no_task01_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        list(msd.scans(folder))


def test_a_case_with_fewer_sequences_is_refused(folder):
    write_nifti(folder / "imagesTr" / "BRATS_001.nii.gz", np.zeros((2, *SHAPE), np.float32), (1, 1, 2, 1))
    with pytest.raises(InputError, match=r"BRATS_001\.nii\.gz: found 2 volumes, expected at least 3"):
        list(msd.scans(folder))[2].read()
