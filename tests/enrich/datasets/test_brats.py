import numpy as np
import pytest

from enrich import volume
from enrich.datasets import brats
from gan.errors import InputError
from tests.real import real

GRID = {"spacing_mm": (1.0, 1.0, 2.0), "origin_mm": (0.0, -239.0, 0.0)}


def write_case(folder, modalities=brats.MODALITIES, values=(0, 1, 2, 4), ending=".nii.gz", seg=None, names=brats.NAMES):
    folder.mkdir(parents=True)
    image = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    for name in modalities:
        volume.write(volume.Volume(image, **GRID), folder / f"{folder.name}{names[name]}{ending}")
    label = np.resize(np.array(list(values), np.uint8), image.shape)
    volume.write(volume.Volume(label, **GRID), folder / (seg or f"{folder.name}{names['seg']}{ending}"))
    return folder


def structure(scan, name):
    _, label = scan.read()
    return int(np.isin(label.array, scan.structures[name]).sum())


def test_real_case_of_2021():
    scans = list(brats.scans(real("brats2021"), "2021"))
    assert [scan.modality for scan in scans] == ["flair", "t1", "t1ce", "t2"]
    for scan in scans:
        image, label = scan.read()
        assert (scan.case, image.array.shape, image.spacing_mm) == ("BraTS2021_00006", (155, 240, 240), (1.0, 1.0, 1.0))
        assert dict(zip(*np.unique(label.array[label.array > 0], return_counts=True), strict=True)) == {
            1: 25506,
            2: 85957,
            3: 26448,  # 4 in the file
        }
    assert structure(scans[0], "whole_tumour") == 25506 + 85957 + 26448
    assert structure(scans[0], "tumour_core") == 25506 + 26448
    assert structure(scans[0], "enhancing_tumour") == 26448


def test_real_cases_of_2015():
    scans = list(brats.scans(real("brats2015_six"), "2015"))
    assert [scan.modality for scan in scans] == 6 * ["flair", "t1ce"]
    assert {scan.patient for scan in scans} == {f"brats_2013_pat000{n}" for n in range(1, 7)}
    first = scans[0]
    assert first.case == "brats_2013_pat0001_1"
    assert structure(first, "whole_tumour") == 26371 + 53050 + 818 + 31485
    assert structure(first, "tumour_core") == 26371 + 818 + 31485
    assert structure(first, "enhancing_tumour") == 31485


def test_real_case_read_as_another_release_is_refused():
    with pytest.raises(InputError, match=r"found a case named BraTS2021_00006, expected BraTS20_"):
        list(brats.scans(real("brats2021"), "2020"))


@pytest.mark.parametrize(
    ("release", "case", "patient"),
    [
        ("2013", "brats_2013_pat0001_1", "brats_2013_pat0001"),
        ("2015", "brats_tcia_pat101_0083", "brats_tcia_pat101"),
        ("2018", "HGG/Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB"),
        ("2019", "LGG/BraTS19_2013_0_1", "BraTS19_2013_0"),
        ("2020", "BraTS20_Training_001", "BraTS20_Training_001"),
        ("2021", "BraTS2021_00006", "BraTS2021_00006"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_layout_of_every_release(tmp_path, release, case, patient, ending):
    write_case(tmp_path / case, ending=ending)
    scans = list(brats.scans(tmp_path, release))
    assert [(scan.case, scan.patient) for scan in scans] == 4 * [(case.split("/")[-1], patient)]
    assert structure(scans[0], "whole_tumour") == 45
    assert structure(scans[0], "tumour_core") == 30
    assert structure(scans[0], "enhancing_tumour") == 15


@pytest.mark.parametrize(("release", "values"), [("2023", (0, 1, 2, 3)), ("2024", (0, 1, 2, 3, 4))])
def test_layout_since_2023(tmp_path, release, values):
    for time in ("000", "001"):
        write_case(tmp_path / f"BraTS-GLI-00005-{time}", values=values, names=brats.NAMES_2023)
    found = list(brats.scans(tmp_path, release))
    assert [scan.modality for scan in found] == 2 * ["flair", "t1", "t1ce", "t2"]
    assert [scan.path.name for scan in found][:2] == [
        "BraTS-GLI-00005-000-t2f.nii.gz",
        "BraTS-GLI-00005-000-t1n.nii.gz",
    ]
    assert {scan.patient for scan in found} == {"BraTS-GLI-00005"}  # at two times
    count = 60 // len(values)
    counts = [structure(found[0], name) for name in ("whole_tumour", "tumour_core", "enhancing_tumour")]
    assert counts == [3 * count, 2 * count, count]
    assert release == "2023" or structure(found[0], "resection_cavity") == count


def test_the_resection_cavity_is_unknown_before_2024(tmp_path):
    write_case(tmp_path / "BraTS-GLI-00005-000", values=(0, 1, 4), names=brats.NAMES_2023)
    with pytest.raises(InputError, match=r"-seg\.nii\.gz: found label values \[4\], expected only \[0, 1, 2, 3\]"):
        next(brats.scans(tmp_path, "2023")).read()


def test_structures_of_2015_know_the_non_enhancing_tumour(tmp_path):
    write_case(tmp_path / "brats_2013_pat0001_1", values=(0, 1, 2, 3, 4))
    (scan, *_) = brats.scans(tmp_path, "2015")
    counts = [structure(scan, name) for name in ("whole_tumour", "tumour_core", "enhancing_tumour")]
    assert counts == [48, 36, 12]


def test_mixed_grids_are_refused_without_a_segmentation_too(tmp_path):
    case = write_case(tmp_path / "BraTS2021_00001")
    (case / "BraTS2021_00001_seg.nii.gz").unlink()
    other = case / "BraTS2021_00001_t2.nii.gz"
    volume.write(volume.Volume(volume.read(other).array, (1.0, 1.0, 3.0)), other)
    with pytest.raises(InputError, match=r"_t2\.nii\.gz: found a grid of .* spacing \[1\.0, 1\.0, 3\.0\] mm"):
        next(brats.scans(tmp_path, "2021")).read()


def test_grades_are_listed_together_by_name(tmp_path):
    for case in ("LGG/Brats18_A_1", "HGG/Brats18_B_1", "LGG/Brats18_C_1"):
        write_case(tmp_path / case)
    assert [scan.case for scan in brats.scans(tmp_path, "2018")][::4] == ["Brats18_A_1", "Brats18_B_1", "Brats18_C_1"]


def test_misnamed_segmentation_of_2020(tmp_path):
    write_case(tmp_path / "BraTS20_Training_355", ending=".nii", seg="W39_1998.09.19_Segm.nii")
    (scan, *_) = brats.scans(tmp_path, "2020")
    assert structure(scan, "whole_tumour") == 45


def test_case_without_segmentation_has_no_label_map(tmp_path):
    case = write_case(tmp_path / "BraTS2021_00001")
    (case / "BraTS2021_00001_seg.nii.gz").unlink()
    assert all(scan.read()[1] is None for scan in brats.scans(tmp_path, "2021"))


@pytest.mark.parametrize(("release", "case", "value"), [("2021", "BraTS2021_00001", 3), ("2015", "brats_pat1_1", 5)])
def test_unknown_label_value_is_named_as_in_the_file(tmp_path, release, case, value):
    write_case(tmp_path / case, values=(0, 1, value))
    (scan, *_) = brats.scans(tmp_path, release)
    with pytest.raises(InputError, match=rf"{case}_seg\.nii\.gz: found label values \[{value}\]"):
        scan.read()


def test_segmentation_with_fractions_is_refused(tmp_path):
    case = write_case(tmp_path / "BraTS2021_00001")
    label = np.full((3, 4, 5), 0.5, np.float32)
    volume.write(volume.Volume(label, **GRID), case / "BraTS2021_00001_seg.nii.gz")
    with pytest.raises(InputError, match=r"found label values \[0\.5\]"):
        next(brats.scans(tmp_path, "2021")).read()


def test_sequences_that_every_case_lacks_are_not_missed(tmp_path):
    for number in (1, 2):
        write_case(tmp_path / f"BraTS2021_0000{number}", modalities=("flair", "t2"))
    assert [scan.modality for scan in brats.scans(tmp_path, "2021")] == ["flair", "t2", "flair", "t2"]


@pytest.mark.parametrize("release", brats.RELEASES)
def test_cases_may_lack_different_sequences_and_the_segmentation(tmp_path, release):
    rules = brats.RELEASES[release]
    root = tmp_path / "HGG" if rules.grades else tmp_path
    for number, lacking in ((1, "t1"), (2, "seg")):
        case = write_case(root / f"{rules.prefix}0000{number}-000", values=rules.labels, names=rules.names)
        (case / f"{case.name}{rules.names[lacking]}.nii.gz").unlink()
    found = list(brats.scans(tmp_path, release))
    assert [scan.modality for scan in found] == ["flair", "t1ce", "t2", "flair", "t1", "t1ce", "t2"]
    assert [scan.read()[1] is None for scan in found] == 3 * [False] + 4 * [True]
    assert [scan.labelled for scan in found] == 3 * [True] + 4 * [False]


def test_a_case_without_any_sequence_is_refused(tmp_path):
    write_case(tmp_path / "BraTS2021_00001", modalities=())
    with pytest.raises(InputError, match=r"BraTS2021_00001: found no scan, expected BraTS2021_00001_flair\.nii"):
        list(brats.scans(tmp_path, "2021"))


def test_a_file_that_would_go_unread_is_refused(tmp_path):
    case = write_case(tmp_path / "BraTS2021_00001")
    (case / "BraTS2021_00001_t1.nii.gz").rename(case / "BraTS2021_00001_T1.nii.gz")
    with pytest.raises(InputError, match=r"_T1\.nii\.gz: found a file of another name, expected BraTS2021_00001_flair"):
        list(brats.scans(tmp_path, "2021"))


def test_one_name_in_both_grades_is_refused(tmp_path):
    write_case(tmp_path / "HGG/Brats18_A_1")
    write_case(tmp_path / "LGG/Brats18_A_1")
    with pytest.raises(InputError, match="found a second case named Brats18_A_1"):
        list(brats.scans(tmp_path, "2018"))
