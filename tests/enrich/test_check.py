import csv
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from enrich import check, phantom, volume
from gan.errors import run
from tests.real import real

CT, T1, T2 = Path("Train_Sets/CT/1"), Path("Train_Sets/MR/1/T1DUAL"), Path("Train_Sets/MR/1/T2SPIR")
CT_SLICE, T2_SLICE = CT / "DICOM_anon/i0003,0000b.dcm", T2 / "DICOM_anon/IMG-0002-00004.dcm"
HEAD = Path("BraTS2021_00001")
FLAIR, HEAD_T2, SEG = (HEAD / f"BraTS2021_00001_{name}.nii.gz" for name in ("flair", "t2", "seg"))


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms")
    for layout, settings in (
        ("chaos", {"ct_patients": 1, "mr_patients": 1, "slices": 8, "size": 32}),
        ("brats", {"patients": 2, "slices": 8, "size": 32}),
    ):
        phantom.write(layout, phantom.parse(layout, settings), root / layout / "phantom.json")
    return root


def table(monkeypatch, capsys, *arguments):
    """Run the program and return its rows."""
    monkeypatch.setattr(sys, "argv", ["check", *map(str, arguments)])
    run(check.main)
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def refusal(monkeypatch, *arguments):
    """Run the program, which must end with one line and exit code 1, and return the line."""
    monkeypatch.setattr(sys, "argv", ["check", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        run(check.main)
    message = caught.value.code
    assert isinstance(message, str)  # Python prints it and exits with 1
    assert message.startswith("error: ")
    assert "\n" not in message
    assert ": found " in message
    assert ", expected " in message
    return message


def edit_dicom(change):
    def edit(path):
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)

    return edit


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def edit_mask(change):
    def edit(path):
        Image.fromarray(change(np.array(Image.open(path)).astype(np.uint8))).save(path)

    return edit


def edit_nifti(change):
    def edit(path):
        volume.write(change(volume.read(path)), path)

    return edit


def spoil_a_voxel(path):
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32)
    voxels[0, 0, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)


def poke(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


def shift(volume_):
    return volume.Volume(volume_.array, volume_.spacing_mm, (1.0, 2.0, 3.0), volume_.direction)


def every_slice(edit):
    return lambda folder: [edit(path) for path in folder.glob("*.dcm")]


def set_tag(name, value):
    return edit_dicom(lambda data: setattr(data, name, value))


def raise_position(data):
    x, y, z = data.ImagePositionPatient
    data.ImagePositionPatient = [x, y, z + data.SliceThickness / 3]


def repeat_position(path):
    previous = pydicom.dcmread(path.with_name("IMG-0002-00003.dcm"))
    set_tag("ImagePositionPatient", previous.ImagePositionPatient)(path)


def blank(data):
    data.PixelData = bytes(len(data.PixelData))


def shrink(data):
    data.PixelData = data.pixel_array[:-2].tobytes()
    data.Rows -= 2


def swap_phases(folder):
    for name, other in (("InPhase", "x"), ("OutPhase", "InPhase"), ("x", "OutPhase")):
        (folder / name).rename(folder / other)
    for odd in sorted((folder / "InPhase").iterdir()):
        odd.rename(odd.with_name(f"IMG-0004-{int(odd.stem[-5:]) + 1:05d}.dcm"))


def copy_beside(name):
    return lambda path: shutil.copy(path, path.with_name(name))


MUTATIONS = [
    # what is edited, how, the file that the line names if another, what the line says
    ("last CT mask missing", CT / "Ground/liver_GT_007.png", Path.unlink, CT / "Ground", "7 masks, expected 8"),
    ("CT mask missing", CT / "Ground/liver_GT_003.png", Path.unlink, CT / "Ground/liver_GT_004.png", "a mask lacks"),
    (
        "extra CT mask",
        CT / "Ground/liver_GT_007.png",
        copy_beside("liver_GT_008.png"),
        CT / "Ground",
        "9 masks, expected 8",
    ),
    ("no CT mask", CT / "Ground", lambda p: [f.unlink() for f in p.iterdir()], None, "no *.png file"),
    ("CT image missing", CT_SLICE, Path.unlink, CT / "Ground", "8 masks, expected 7"),
    (
        "CT names unpadded",
        CT_SLICE,
        lambda path: path.rename(path.with_name("i00010,0000b.dcm")),
        CT / "DICOM_anon/i0002,0000b.dcm",
        "found numbers [2, 0] after [10, 0]",
    ),
    ("no CT image", CT / "DICOM_anon", lambda p: [f.unlink() for f in p.iterdir()], None, "no *.dcm file"),
    (
        "CT mask size",
        CT / "Ground/liver_GT_002.png",
        edit_mask(lambda a: a[:-1]),
        None,
        "(31, 32) pixels, expected (32, 32)",
    ),
    (
        "CT label",
        CT / "Ground/liver_GT_002.png",
        edit_mask(poke(7)),
        None,
        "label values [7], expected only [0, 1, 255]",
    ),
    ("CT mask in colour", CT / "Ground/liver_GT_002.png", edit_mask(lambda a: np.stack([a] * 3, -1)), None, "kind RGB"),
    ("T1 mask missing", T1 / "Ground/IMG-0004-00006.png", Path.unlink, None, "no such file"),
    (
        "extra T2 mask",
        T2 / "Ground/IMG-0002-00004.png",
        copy_beside("IMG-0002-00099.png"),
        T2 / "Ground/IMG-0002-00099.png",
        "",
    ),
    ("T2 image missing", T2_SLICE, Path.unlink, T2 / "Ground/IMG-0002-00004.png", "a mask without an image"),
    (
        "MR label",
        T1 / "Ground/IMG-0004-00006.png",
        edit_mask(poke(90)),
        None,
        "label values [90], expected only [0, 55, 56",
    ),
    ("truncated PNG", T1 / "Ground/IMG-0004-00006.png", cut, None, "unreadable or truncated"),
    ("no PNG", T1 / "Ground/IMG-0004-00006.png", lambda p: p.write_text("hello"), None, "unreadable or truncated"),
    ("truncated DICOM", T2_SLICE, cut, None, "unreadable or truncated"),
    (
        "first DICOM cut short",
        CT / "DICOM_anon/i0000,0000b.dcm",
        lambda p: p.write_bytes(p.read_bytes()[:90]),
        None,
        "unreadable",
    ),
    ("no DICOM", CT_SLICE, lambda p: p.write_text("hello"), None, "unreadable or truncated"),
    ("no position", CT_SLICE, edit_dicom(lambda d: delattr(d, "ImagePositionPatient")), None, "unreadable"),
    ("mixed spacing", T2_SLICE, set_tag("PixelSpacing", [5, 5]), None, "spacing (5.0, 5.0) mm"),
    ("mixed orientation", T2_SLICE, set_tag("ImageOrientationPatient", [1, 0, 0, 0, 0, -1]), None, "axes"),
    ("skewed axes", T2_SLICE, set_tag("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), None, "orthogonal unit axes"),
    ("mixed size", T2_SLICE, edit_dicom(shrink), None, "(30, 32) pixels"),
    ("duplicate position", T2_SLICE, repeat_position, T2 / "DICOM_anon", "0 mm from"),
    ("uneven positions", T2_SLICE, edit_dicom(raise_position), T2 / "DICOM_anon", "as between most slices"),
    ("NaN", CT_SLICE, set_tag("RescaleIntercept", "nan"), None, "NaN or infinite"),
    ("constant CT", CT / "DICOM_anon", every_slice(edit_dicom(blank)), None, "a constant image of -1024"),
    ("bad window", CT / "DICOM_anon/i0000,0000b.dcm", set_tag("WindowWidth", 0), None, "window"),
    (
        "phases swapped",
        T1 / "DICOM_anon",
        swap_phases,
        T1 / "DICOM_anon/InPhase",
        "echo time 2.301 ms, expected more than the 4.603",
    ),
    (
        "no echo time",
        T1 / "DICOM_anon/InPhase/IMG-0004-00004.dcm",
        edit_dicom(lambda d: delattr(d, "EchoTime")),
        None,
        "no echo",
    ),
    ("no out-phase", T1 / "DICOM_anon/OutPhase", shutil.rmtree, None, "no *.dcm file"),
    ("no T2", T2, shutil.rmtree, T2 / "DICOM_anon", "no *.dcm file"),
    (
        "patient without number",
        CT,
        lambda p: p.rename(p.with_name("Miller")),
        CT.with_name("Miller"),
        "the number of a patient",
    ),
    ("no CT or MR", Path("Train_Sets"), lambda p: p.rename(p.with_name("Train")), Path(), "no CT and no MR folder"),
    (
        "two sets",
        Path("Train_Sets"),
        lambda p: shutil.copytree(p, p.with_name("CHAOS_Train_Sets")),
        Path(),
        "CT or MR folders in",
    ),
    ("no patients", Path("Train_Sets"), lambda p: [shutil.rmtree(q / "1") for q in p.iterdir()], Path(), "no scan"),
    ("truncated NIfTI", FLAIR, cut, None, "truncated"),
    ("truncated segmentation", SEG, cut, None, "truncated"),
    ("no NIfTI", HEAD_T2, lambda p: p.write_text("hello"), None, "unreadable header"),
    (
        "modality misnamed",
        HEAD_T2,
        lambda p: p.rename(p.with_name("BraTS2021_00001_t2w.nii.gz")),
        HEAD / "BraTS2021_00001_t2w.nii.gz",
        "a file of another name",
    ),
    (
        "file twice",
        FLAIR,
        copy_beside("BraTS2021_00001_flair.nii"),
        HEAD / "BraTS2021_00001_flair.nii",
        "only one of the two",
    ),
    ("label of another release", SEG, edit_nifti(lambda v: v.with_array(poke(3)(v.array))), None, "label values [3]"),
    ("mixed grid", HEAD_T2, edit_nifti(shift), None, "origin [1.0, 2.0, 3.0]"),
    ("segmentation's grid", SEG, edit_nifti(shift), None, "origin [1.0, 2.0, 3.0]"),
    ("NaN", FLAIR, spoil_a_voxel, None, "NaN or infinite"),
    ("constant", FLAIR, edit_nifti(lambda v: v.with_array(0 * v.array)), None, "a constant image of 0"),
    (
        "case of another release",
        HEAD,
        lambda p: p.rename(p.with_name("Brats18_1")),
        Path("Brats18_1"),
        "expected BraTS2021_",
    ),
    ("no images", Path(), lambda p: [f.unlink() for f in p.rglob("*.gz")], Path("BraTS2021_00000"), "no scan"),
]


@pytest.mark.parametrize(("where", "edit", "named", "says"), [m[1:] for m in MUTATIONS], ids=[m[0] for m in MUTATIONS])
def test_bad_input_gets_one_line_that_names_the_file(phantoms, tmp_path, monkeypatch, where, edit, named, says):
    layout = "brats" if HEAD in (where, where.parent) or where == Path() else "chaos"
    folder = shutil.copytree(phantoms / layout, tmp_path / layout)
    edit(folder / where)
    before = sorted(folder.rglob("*"))
    release = ["--release", "2021"] if layout == "brats" else []
    line = refusal(monkeypatch, layout, folder, *release)
    assert str(folder / (where if named is None else named)) in line
    assert says in line
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["chaos", "nowhere"], "nowhere: found no CT and no MR folder"),
        (["chaos", "chaos", "--release", "2021"], "reader chaos: found release, expected no option"),
        (["brats", "brats"], "reader brats: found no option, expected release"),
        (["brats", "brats", "--release", "2012"], "found release '2012'"),
        (["brats", "nowhere", "--release", "2021"], "nowhere: found no case"),
        (["brats", "brats", "--release", "2018"], "found no case, expected folders of cases in"),
        (["brats", "brats", "--release", "2020"], "found a case named BraTS2021_00000, expected BraTS20_"),
    ],
)
def test_wrong_folder_or_release_gets_one_line(phantoms, monkeypatch, arguments, says):
    monkeypatch.chdir(phantoms)
    assert says in refusal(monkeypatch, *arguments)


def test_the_program_ends_with_one_line_and_no_traceback(phantoms, tmp_path):
    folder = shutil.copytree(phantoms / "chaos", tmp_path / "chaos")
    cut(folder / T2_SLICE)
    command = [sys.executable, "-m", "enrich.check", "chaos", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert [line for line in result.stderr.splitlines() if not line.startswith("\r")][-1].startswith(
        f"error: {folder / T2_SLICE}"
    )
    assert "Traceback" not in result.stderr
    assert len(result.stdout.splitlines()) == 3  # the header and what could be read before


def test_one_row_a_scan(phantoms, monkeypatch, capsys):
    rows = table(monkeypatch, capsys, "chaos", phantoms / "chaos")
    assert [(row["case"], row["modality"]) for row in rows] == [("ct01", "ct"), ("mr01", "t1"), ("mr01", "t2")]
    assert rows[0]["shape"] == "8x32x32"
    assert rows[0]["spacing_mm"] == "10x10x22.5"
    assert {row["orientation"] for row in rows} == {"LPS"}
    assert all(800 < float(row["liver_ml"]) < 2000 for row in rows)
    assert [row["spleen_ml"] != "" for row in rows] == [False, True, True]


def test_real_ct_gives_its_published_figures(monkeypatch, capsys, tmp_path):
    archive = real("chaos_ct3.tar.xz")
    with tarfile.open(archive) as stream:
        stream.extractall(tmp_path, filter="data")
    (row,) = table(monkeypatch, capsys, "chaos", tmp_path)
    assert (row["shape"], row["spacing_mm"], row["orientation"]) == ("78x512x512", "0.7265625x0.7265625x2", "LPS")
    assert float(row["liver_ml"]) == pytest.approx(1417.5, abs=0.05)
    assert float(row["liver_mean"]) == pytest.approx(141.0, abs=0.05)
    assert float(row["liver_std"]) == pytest.approx(34.1, abs=0.05)


def test_real_heads_give_their_published_figures(monkeypatch, capsys):
    rows = table(monkeypatch, capsys, "brats", real("brats2021"), "--release", "2021")
    assert [row["modality"] for row in rows] == ["flair", "t1", "t1ce", "t2"]
    assert {(row["shape"], row["spacing_mm"]) for row in rows} == {("155x240x240", "1x1x1")}
    assert float(rows[0]["whole_tumour_ml"]) == pytest.approx((25506 + 85957 + 26448) / 1000)
    assert float(rows[0]["tumour_core_ml"]) == pytest.approx((25506 + 26448) / 1000)
    assert float(rows[0]["enhancing_tumour_ml"]) == pytest.approx(26448 / 1000)
