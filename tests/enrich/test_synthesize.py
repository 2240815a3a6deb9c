"""Synthesis on the source's own grid, with a generator that was really trained, if only for a moment."""

import json
import tarfile

import numpy as np
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from enrich import index, volume
from enrich.controls import write_control
from enrich.crossfit import Fits
from enrich.datasets import READERS
from enrich.intensity import Intensity
from enrich.slices import ScanCutter, stacks, write_facts, write_slices
from enrich.splits import Splits
from enrich.synthesize import write_synthetic
from gan.batch import Slices
from gan.errors import InputError
from gan.files import sha256
from gan.methods import METHODS
from gan.settings import resolve
from gan.train import train
from tests.enrich.conftest import OBLIQUE, make_scan
from tests.enrich.prepared import write_scans
from tests.real import real

MODALITIES = ["ct", "t1", "t2"]
WHO = Splits(train=["ct01", "ct02", "mr01"], watch=[], test=["mr02"], unlabelled=[])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with scans.csv and a StarGAN of two rounds."""
    folder = tmp_path_factory.mktemp("study")
    scans = [
        make_scan("ct01", "ct"),
        make_scan("ct02", "ct", direction=OBLIQUE),
        *(make_scan(case, modality) for case in ("mr01", "mr02") for modality in ("t1", "t2")),
    ]
    write_scans(scans, folder / "scans.csv")
    (folder / "slices").mkdir()
    write_slices(stacks(ScanCutter(folder / "scans.csv", WHO, Intensity(), 64)), folder / "slices", 64)
    write_facts(folder / "slices", MODALITIES, 64, {}, {})
    stargan = METHODS["stargan"]
    settings = resolve(stargan.paper, stargan.official, {"width": 4, "batch_size": 2, "rounds": 2}, "stargan")
    train(Slices(folder / "slices"), "stargan", settings, 0, folder / "gan", {}, resume=False)
    return folder


def fits_of(study):
    return Fits({"all": [study / "gan" / "model.pt"]}, WHO)


@pytest.fixture(scope="module")
def synthetic(study):
    folder = study / "synthetic"
    folder.mkdir()
    rows = write_synthetic(study / "scans.csv", fits_of(study), Intensity(), folder)
    index.write(rows, folder / "index.csv")
    return folder / "index.csv"


def test_every_scan_gets_every_other_modality_on_its_own_grid(study, synthetic):
    scans = index.read(study / "scans.csv").set_index(["case", "modality"])
    rows = index.read(synthetic)
    assert len(rows) == len(scans) * 2
    for _, row in rows.iterrows():
        source = volume.read(study / scans.loc[(row["case"], row["source"]), "image"])
        fake = volume.read(index.file_of(synthetic, row["image"], row["sha256"]))
        assert volume.same_grid(fake, source)
        assert fake.array.dtype == np.int16


def test_a_synthetic_scan_is_zero_outside_nnunets_mask_and_in_range_inside(study, synthetic):
    scans = index.read(study / "scans.csv").set_index(["case", "modality"])
    ranges = {"ct": (864, 1264), "t1": (0, 1000), "t2": (0, 1000)}
    for _, row in index.read(synthetic).iterrows():
        source = volume.read(study / scans.loc[(row["case"], row["source"]), "image"]).array
        fake = volume.read(synthetic.parent / row["image"]).array
        inside = create_nonzero_mask(source[None])
        assert (fake[~inside] == 0).all()
        low, high = ranges[row["target"]]
        assert fake[inside].min() >= low
        assert fake[inside].max() <= high
        assert np.unique(fake[inside]).size > 10
        if row["source"] != "ct":
            assert not inside.all()


def test_the_sidecar_says_what_the_numbers_mean(synthetic):
    facts = json.loads((synthetic.parent / "mr01_t1_to_ct.json").read_text())
    assert (facts["unit"], facts["offset"], facts["range"]) == ("HU + 1024", 1024, [864, 1264])
    facts = json.loads((synthetic.parent / "ct01_ct_to_t2.json").read_text())
    assert (facts["unit"], facts["offset"], facts["range"]) == ("arbitrary", 0, [0, 1000])


def test_an_oblique_scan_is_translated_as_if_it_were_not(study, synthetic, tmp_path):
    scans = index.read(study / "scans.csv")
    row = scans[scans["case"] == "ct02"].iloc[0].copy()
    turned = volume.reorient(volume.read(study / row["image"]), "LPS")
    (tmp_path / "scans").mkdir()
    volume.write(turned, tmp_path / "scans" / "turned.nii.gz")
    row["image"], row["image_sha256"] = "scans/turned.nii.gz", sha256(tmp_path / "scans" / "turned.nii.gz")
    index.write(row.to_frame().T, tmp_path / "scans.csv")
    write_synthetic(tmp_path / "scans.csv", fits_of(study), Intensity(), tmp_path)
    expected = volume.reorient(volume.read(synthetic.parent / "ct02_ct_to_t1.nii.gz"), "LPS")
    np.testing.assert_array_equal(volume.read(tmp_path / "ct02_ct_to_t1.nii.gz").array, expected.array)


def test_zeros_lie_on_the_grids_of_the_scans(study, tmp_path):
    rows = write_control("zero", study / "scans.csv", MODALITIES, tmp_path, tmp_path)
    assert len(rows) == 12
    zero = volume.read(tmp_path / "ct02_ct_zero.nii.gz")
    assert volume.same_grid(zero, volume.read(study / "scans/ct02_ct.nii.gz"))
    assert not zero.array.any()


def test_a_copied_channel_is_the_source_itself(study, tmp_path):
    rows = write_control("copy", study / "scans.csv", MODALITIES, tmp_path, tmp_path / "copy")
    assert len(rows) == 12
    for row in rows.to_dict("records"):
        source = study / f"scans/{row['case']}_{row['source']}.nii.gz"
        assert (tmp_path / "copy" / row["image"]).resolve() == source.resolve()
        assert row["sha256"] == sha256(source)


def test_an_oracle_s_channel_is_the_real_scan_of_the_other_modality(study, tmp_path):
    scans = index.read(study / "scans.csv")
    paired = scans[scans["case"].isin(["mr01", "mr02"])].assign(
        image=[str(study / name) for name in scans["image"] if "mr" in name]
    )
    index.write(paired, tmp_path / "scans.csv")
    rows = write_control("oracle", tmp_path / "scans.csv", ["t1", "t2"], tmp_path, tmp_path / "oracle")
    assert len(rows) == 4
    for row in rows.to_dict("records"):
        real_one = study / f"scans/{row['case']}_{row['target']}.nii.gz"
        assert (tmp_path / "oracle" / row["image"]).resolve() == real_one.resolve()
        assert row["sha256"] == sha256(real_one)


def test_unpaired_scans_have_no_oracle(study, tmp_path):
    with pytest.raises(InputError, match="found no t1 scan of ct01, expected one, for the control oracle beside ct"):
        write_control("oracle", study / "scans.csv", MODALITIES, tmp_path, tmp_path)


def test_a_real_scan_is_translated_and_keeps_its_grid(study, tmp_path):
    with tarfile.open(real("chaos_ct3.tar.xz")) as tar:
        tar.extractall(tmp_path / "raw", filter="data")
    scans = list(READERS["chaos"](tmp_path / "raw"))
    write_scans(scans, tmp_path / "scans.csv")
    write_synthetic(tmp_path / "scans.csv", fits_of(study), Intensity(), tmp_path)
    source = volume.read(tmp_path / "scans/ct03_ct.nii.gz")
    for target in ("t1", "t2"):
        fake = volume.read(tmp_path / f"ct03_ct_to_{target}.nii.gz")
        assert volume.same_grid(fake, source)
        assert fake.array.shape == (78, 512, 512)
        assert fake.array.std() > 0
