import hashlib
import json

import numpy as np
import pydicom
import pytest

from enrich import phantom
from enrich.datasets import brats, chaos, phantom_chaos
from enrich.datasets.abdomen import CT_HU, T1_WATER, T2, Abdomen, Tissue
from gan.errors import InputError
from gan.files import sha256

TINY = {
    "chaos": {"ct_patients": 1, "mr_patients": 1, "slices": 8, "size": 32},
    "brats": {"patients": 1, "slices": 8, "size": 32},
}


def write(layout, marker, **settings):
    phantom.write(layout, phantom.parse(layout, TINY[layout] | settings), marker)
    return {
        str(path.relative_to(marker.parent)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in marker.parent.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("layout", phantom.LAYOUTS)
def test_same_seed_same_bytes_and_another_seed_other_images(tmp_path, layout):
    first, second = (write(layout, tmp_path / name / "phantom.json") for name in "ab")
    other = write(layout, tmp_path / "c" / "phantom.json", seed=1)
    assert first == second
    assert first.keys() == other.keys()
    images = [name for name in first if name.endswith((".dcm", "t1.nii.gz"))]
    assert images
    assert all(first[name] != other[name] for name in images)


@pytest.mark.parametrize(("layout", "key"), [("chaos", "mr_patients"), ("brats", "patients")])
def test_a_patient_does_not_depend_on_the_number_of_patients(tmp_path, layout, key):
    if layout == "chaos":
        few, many = (phantom.parse(layout, TINY[layout] | {key: count}) for count in (1, 2))
        for settings, name in ((few, "a"), (many, "b")):
            phantom.write(layout, settings, tmp_path / name / "phantom.json")
        scans = [next(s for s in chaos.scans(tmp_path / name) if s.modality == "t2").read() for name in "ab"]
    else:
        for count, name in ((1, "a"), (2, "b")):
            write(layout, tmp_path / name / "phantom.json", **{key: count})
        scans = [next(brats.scans(tmp_path / name, "2021")).read() for name in "ab"]
    assert np.array_equal(scans[0][0].array, scans[1][0].array)


def test_default_settings_and_the_marker(tmp_path):
    assert phantom.parse("chaos", {}) == phantom_chaos.Settings(6, 6, 12, 64, 0)
    write("chaos", tmp_path / "raw" / "phantom.json")
    content = json.loads((tmp_path / "raw" / "phantom.json").read_text())
    hashes = content.pop("sha256")
    assert content == {"layout": "chaos", "seed": 0} | TINY["chaos"]
    files = [path for path in (tmp_path / "raw" / "Train_Sets").rglob("*") if path.is_file()]
    assert hashes == {str(path.relative_to(tmp_path / "raw")): sha256(path) for path in files}


def test_abdomens_differ_and_their_livers_have_a_liver_s_size(abdomens):
    livers = []
    for scan in chaos.scans(abdomens):
        image, label = scan.read()
        livers.append(np.count_nonzero(label.array == 1) * image.voxel_ml)
        assert 800 < livers[-1] < 2000
    assert np.std(livers[:4]) > 20


def test_liver_and_its_neighbours_differ_most_in_t1():
    """The border beside the stomach is lost in CT's noise, that beside the muscle nearly in T2's; neither in T1's."""
    noise = phantom_chaos.NOISE
    assert abs(CT_HU[Tissue.LIVER] - CT_HU[Tissue.STOMACH]) < noise["ct"]
    assert abs(T2[Tissue.LIVER] - T2[Tissue.MUSCLE]) < 3 * noise["t2"]
    for neighbour in (Tissue.STOMACH, Tissue.MUSCLE, Tissue.SPLEEN):
        assert T1_WATER[Tissue.LIVER] - T1_WATER[neighbour] > 8 * noise["t1"]


def test_every_tissue_is_somewhere_and_every_table_knows_it():
    z, y, x = np.meshgrid(np.arange(-95, 86, 3), np.arange(-110, 111, 3), np.arange(-150, 151, 3), indexing="ij")
    found = Abdomen.draw(np.random.default_rng(0)).tissues(x, y, z)
    assert set(np.unique(found)) == set(Tissue)
    assert set(CT_HU) == set(T1_WATER) == set(T2) == set(Tissue)


def test_traps_of_chaos_are_in_the_files(abdomens):
    headers = [
        [pydicom.dcmread(path) for path in sorted((abdomens / f"Train_Sets/CT/{n}/DICOM_anon").glob("*.dcm"))]
        for n in range(1, 5)
    ]
    for series in headers:
        heights = [header.ImagePositionPatient[2] for header in series]
        assert heights == sorted(heights, reverse=True)
        assert abs(series[0].SliceThickness - (heights[0] - heights[1])) > 1
    assert {series[0].RescaleIntercept for series in headers} == {-1024, 0, -1000, -1200}
    assert {series[0].PixelRepresentation for series in headers} == {0, 1}
    assert {pydicom.multival.MultiValue, pydicom.valuerep.DSfloat} == {type(s[0].WindowCenter) for s in headers}
    folder = abdomens / "Train_Sets/MR/1/T1DUAL"
    in_phase, out_phase = (
        {pydicom.dcmread(p).EchoTime for p in (folder / "DICOM_anon" / name).iterdir()}
        for name in ("InPhase", "OutPhase")
    )
    assert min(in_phase) > max(out_phase)
    assert {p.stem for p in (folder / "Ground").iterdir()} == {
        p.stem for p in (folder / "DICOM_anon" / "InPhase").iterdir()
    }


def test_heads_are_zero_outside_and_only_there(heads):
    scans = list(brats.scans(heads, "2021"))
    assert len(scans) == 8
    outside = [scan.read()[0].array == 0 for scan in scans[:4]]
    assert all(np.array_equal(mask, outside[0]) for mask in outside)
    assert 0.5 < outside[0].mean() < 0.9
    _, label = scans[0].read()
    assert not (label.array[outside[0]]).any()
    assert set(np.unique(label.array)) == {0, 1, 2, 3}
    tumour = {scan.modality: scan.read()[0].array[label.array > 0].mean() for scan in scans[:4]}
    brain = {scan.modality: scan.read()[0].array[~outside[0] & (label.array == 0)].mean() for scan in scans[:4]}
    assert tumour["flair"] > 1.6 * brain["flair"]
    assert tumour["t1"] == pytest.approx(brain["t1"], rel=0.25)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slice": 12}, r"--settings: found key 'slice', expected one of \['ct_patients'"),
        ({"slices": 4}, "--settings, slices: found 4, expected an integer of at least 8"),
        ({"size": 64.0}, r"--settings, size: found 64\.0"),
        ({"seed": True}, "--settings, seed: found True"),
        ([], r"--settings: found \[\]"),
    ],
)
def test_wrong_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        phantom.parse("chaos", values)


def test_an_earlier_phantom_is_replaced_and_nothing_else(tmp_path):
    before = write("chaos", tmp_path / "raw" / "phantom.json")
    after = write("brats", tmp_path / "raw" / "phantom.json")
    assert before.keys() & after.keys() == {".published", "phantom.json"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="mine: found a folder with other files"):
        write("brats", tmp_path / "mine" / "phantom.json")
    with pytest.raises(InputError, match=r"expected phantom\.json in a folder of its own"):
        write("brats", tmp_path / "raw" / "other.json")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_an_interrupted_phantom_leaves_the_earlier_one(tmp_path, monkeypatch):
    marker = tmp_path / "raw" / "phantom.json"
    before = write("chaos", marker)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(phantom_chaos, "_write_mr", fail)
    with pytest.raises(KeyboardInterrupt):
        write("chaos", marker, seed=5)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert {p.name for p in marker.parent.iterdir()} == {"Train_Sets", ".published", "phantom.json"}
    monkeypatch.undo()
    assert write("chaos", marker) == before
