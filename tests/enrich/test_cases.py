"""Further cases of a modality, by a generator that was really trained, if only for a moment."""

import json
import shutil
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask, crop_to_nonzero

from enrich import cases, index, splits, volume
from enrich.axial import AXIAL, to_axial
from enrich.cases import write_cases
from enrich.crossfit import Fits
from enrich.datasets import READERS
from enrich.gan_grid import from_gan_grid, to_gan_grid
from enrich.intensity import Intensity
from enrich.nnunet import dataset
from enrich.slices import ScanCutter, stacks, write_facts, write_slices
from enrich.splits import Splits
from enrich.synthesize import write_synthetic
from enrich.volume import Volume
from gan.batch import Slices
from gan.errors import InputError
from gan.files import publish_json, sha256
from gan.methods import METHODS
from gan.settings import resolve
from gan.train import train
from gan.translator import Translator
from tests.enrich.conftest import OBLIQUE, make_scan
from tests.enrich.prepared import write_scans
from tests.real import real

MODALITIES = ["ct", "t1", "t2"]
WHO = Splits(train=["ct01", "ct02", "mr01"], watch=["mr02"], test=["ct03", "mr03"], unlabelled=["mr04"])
CT = {("ct01", "ct", "t1"), ("ct01", "ct", "t2"), ("ct02", "ct", "t1"), ("ct02", "ct", "t2")}
MR = {(case, source, "") for case in ("mr01", "mr02") for source in ("t1", "t2")}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with scans.csv, splits.json and a StarGAN of two rounds; each label has a shape of its own."""
    folder = tmp_path_factory.mktemp("study")
    scans = [
        make_scan("ct01", "ct", shape=(6, 40, 30)),
        make_scan("ct02", "ct", shape=(7, 38, 31), direction=OBLIQUE),
        make_scan("ct03", "ct", shape=(5, 30, 30)),
        *(
            make_scan(f"mr0{number}", modality, label=number < 4, shape=(5 + number, 36 + number, 20 + width))
            for number in range(1, 5)
            for width, modality in enumerate(("t1", "t2"))
        ),
    ]
    write_scans(scans, folder / "scans.csv")
    publish_json(folder / "splits.json", vars(WHO))
    (folder / "slices").mkdir()
    write_slices(stacks(ScanCutter(folder / "scans.csv", WHO, Intensity(), 64)), folder / "slices", 64)
    write_facts(folder / "slices", MODALITIES, 64, {}, {})
    stargan = METHODS["stargan"]
    settings = resolve(stargan.paper, stargan.official, {"width": 4, "batch_size": 2, "rounds": 2}, "stargan")
    train(Slices(folder / "slices"), "stargan", settings, 0, folder / "gan", {}, resume=False)
    return folder


def call(main, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["program", *map(str, arguments)])
        main()


@pytest.fixture(scope="module")
def made(study):
    """Return `index.csv` of the cases of CT and of T1w, as the program writes them."""
    found = {}
    for modality in ("ct", "t1"):
        found[modality] = study / "cases" / "stargan" / modality / "index.csv"
        arguments = ["--scans", study / "scans.csv", "--splits", study / "splits.json", "--modality", modality]
        arguments += ["--fit", "all", study / "gan" / "model.pt", "--intensity", "{}", "--output", found[modality]]
        call(cases.main, *arguments)
    return found


def scans_of(study):
    return index.read(study / "scans.csv").set_index(["case", "modality"])


def read_image(made, row):
    return volume.read(index.file_of(made, row["image"], row["sha256"]))


def case_of(row):
    """Return the scan's case: what stands before the modality in a name."""
    return row["case"].split(f"_{row['source']}_")[0]


@pytest.mark.parametrize(
    ("modality", "expected"),
    [
        ("ct", CT | MR),
        (
            "t1",
            {(case, "ct", "") for case in ("ct01", "ct02")}
            | {(case, "t2", "") for case in ("mr01", "mr02")}
            | {(case, "t1", through) for case in ("mr01", "mr02") for through in ("ct", "t2")},
        ),
    ],
)
def test_every_labelled_training_scan_is_translated_or_reconstructed_and_no_other(made, modality, expected):
    rows = index.read(made[modality], index.CASES)
    assert set(zip(map(case_of, rows.to_dict("records")), rows["source"], rows["through"], strict=True)) == expected
    assert len(rows) == len(expected)
    assert rows["case"].is_unique
    assert set(rows["target"]) == {modality}
    assert rows["patient"].tolist() == [case_of(row) for row in rows.to_dict("records")]
    assert set(rows["patient"]) == {*WHO.train, *WHO.watch}
    files = {path.name for path in made[modality].parent.iterdir()}
    sealed = {"index.csv", "index.csv.sha256", "cases.json", "cases.json.sha256"}
    assert files == {".published", *sealed, *rows["image"]}


def test_names_say_what_was_done(made):
    assert {"mr02_t1_to_ct", "ct02_ct_by_t2"} < set(index.read(made["ct"])["case"])


@pytest.mark.parametrize("modality", ["ct", "t1"])
def test_a_case_has_its_scan_s_own_label_and_grid(study, made, modality):
    scans = scans_of(study)
    for row in index.read(made[modality], index.CASES).to_dict("records"):
        scan = scans.loc[(case_of(row), row["source"])]
        label = index.file_of(made[modality], row["label"], row["label_sha256"])
        assert label.resolve() == (study / scan["label"]).resolve()
        assert volume.same_grid(read_image(made[modality], row), volume.read(study / scan["image"]))
        assert volume.same_grid(read_image(made[modality], row), volume.read(label))


def test_ct_is_stored_in_hounsfield_units_with_air_around_it(study, made):
    scans = scans_of(study)
    surrounded = 0
    for row in index.read(made["ct"]).to_dict("records"):
        source = volume.read(study / scans.loc[(case_of(row), row["source"]), "image"]).array
        image = read_image(made["ct"], row).array
        inside = create_nonzero_mask(source[None])
        assert image.dtype == np.int16
        assert (image[~inside] == -1024).all()
        assert image[inside].min() >= -160
        assert image[inside].max() <= 240
        assert np.unique(image[inside]).size > 10
        assert crop_to_nonzero(image[None])[0].shape[1:] == image.shape  # as a real CT, nothing is cropped
        surrounded += not inside.all()
    assert surrounded == len(MR)
    facts = json.loads((made["ct"].parent / "cases.json").read_text())
    assert (facts["unit"], facts["range"], facts["outside"]["synthetic"]) == ("HU", [-160, 240], -1024)
    assert facts["models_sha256"] == {"all": [sha256(study / "gan" / "model.pt")]}


def test_mr_is_zero_outside_nnunets_mask_of_the_source(study, made):
    scans = scans_of(study)
    surrounded = 0
    for row in index.read(made["t1"]).to_dict("records"):
        source = volume.read(study / scans.loc[(case_of(row), row["source"]), "image"]).array
        image = read_image(made["t1"], row).array
        inside = create_nonzero_mask(source[None])
        assert (image[~inside] == 0).all()
        assert image[inside].min() >= 0
        assert 200 < image[inside].max() <= 1000
        surrounded += not inside.all()
    assert surrounded == 6  # all but what is made of CT
    facts = json.loads((made["t1"].parent / "cases.json").read_text())
    assert (facts["unit"], facts["range"], facts["outside"]["synthetic"]) == ("arbitrary", [0, 1000], 0)


def test_a_synthetic_case_is_the_synthetic_channel_of_the_same_scan(study, made, tmp_path):
    write_synthetic(study / "scans.csv", fits_of(study, WHO), Intensity(), tmp_path)
    for modality, offset in (("ct", -1024), ("t1", 0)):
        rows = [row for row in index.read(made[modality]).to_dict("records") if not row["through"]]
        assert len(rows) == 4
        for row in rows:
            channel = volume.read(tmp_path / f"{case_of(row)}_{row['source']}_to_{modality}.nii.gz")
            np.testing.assert_array_equal(read_image(made[modality], row).array, channel.array + offset)


def fits_of(study, who):
    return Fits({"all": [study / "gan" / "model.pt"]}, who)


def test_a_reconstructed_case_is_the_scan_there_and_back(study, made):
    """On the GAN's grid all the way: nothing is stored, rounded or resampled in between."""
    scans, translator = index.read(study / "scans.csv"), Translator([study / "gan" / "model.pt"])
    for row in index.read(made["ct"]).to_dict("records"):
        if not row["through"]:
            continue
        scan = scans[(scans["case"] == case_of(row)) & (scans["modality"] == "ct")].iloc[0]
        source = volume.read(study / scan["image"])
        axial, _ = to_axial(source, scan, Intensity(), study)
        there = translator.translate(to_gan_grid(axial.array, 64, -1)[:, None], "ct", row["through"])
        back = from_gan_grid(translator.translate(there, row["through"], "ct")[:, 0], axial.array.shape[1:])
        found = volume.reorient(read_image(made["ct"], row), AXIAL).array
        inside = volume.reorient(source.with_array(create_nonzero_mask(source.array[None]).astype(np.uint8)), AXIAL)
        expected = np.where(inside.array, np.rint(back * 200 + 40), -1024)
        assert np.abs(found - expected).max() <= 1  # a half may be rounded either way


def test_the_translator_is_told_the_right_directions(study, tmp_path, monkeypatch):
    class Recording(Translator):
        def translate(self, images, source, target, *arguments, **options):
            told.append((source, target))
            ratios.append(options["slice_over_pixel"])
            return super().translate(images, source, target, *arguments, **options)

    told, ratios = [], []
    monkeypatch.setattr("enrich.crossfit.Translator", Recording)
    who = replace(WHO, train=["ct01"], watch=["mr02"])
    write_cases(study / "scans.csv", who, fits_of(study, who), "t1", Intensity(), tmp_path)
    assert told == [("ct", "t1"), ("t1", "ct"), ("ct", "t1"), ("t1", "t2"), ("t2", "t1"), ("t2", "t1")]
    sides = [40, 38, 38, 38, 38, 38]  # of each scan's longer side, pixels of 1.5 mm by 2 mm, on 64 of the GAN's
    assert ratios == pytest.approx([5 / (3**0.5 * side / 64) for side in sides])


def test_cases_find_their_labels_after_the_study_moved(study, made, tmp_path):
    shutil.copytree(study, tmp_path / "moved")
    moved = tmp_path / "moved" / made["ct"].relative_to(study)
    for row in index.read(moved, index.CASES).to_dict("records"):
        assert not row["label"].startswith("/")
        label = index.file_of(moved, row["label"], row["label_sha256"])
        assert label.resolve().is_relative_to(tmp_path / "moved" / "scans")


def test_nnunet_s_dataset_takes_them(study, made):
    output = study / "nnunet" / "raw" / "Dataset001_enriched" / "dataset.json"
    arguments = ["--scans", study / "scans.csv", "--splits", study / "splits.json", "--modality", "t1"]
    arguments += ["--modalities", *MODALITIES, "--cases", made["t1"], "--output", output]
    call(dataset.main, *arguments)
    told, rows = json.loads(output.read_text()), index.read(made["t1"], index.CASES)
    assert list(told["dataset"]) == ["mr01", "mr02", *rows["case"]]
    assert told["synthetic_cases"] == rows["case"].tolist()
    assert told["test_cases"] == ["mr03"]
    for row in rows.to_dict("records"):
        files = told["dataset"][row["case"]]
        label = study / "scans" / f"{case_of(row)}_{row['source']}_label.nii.gz"
        assert (output.parent / files["label"]).resolve() == label.resolve()


def test_what_cannot_be_made_is_refused(study, tmp_path):
    nobody = Splits(train=["mr04"], test=["ct01"])
    with pytest.raises(InputError, match="no labelled training scan to make a ct case of"):
        write_cases(study / "scans.csv", nobody, fits_of(study, nobody), "ct", Intensity(), tmp_path)
    fits = fits_of(study, WHO)
    (translator,) = fits.of("ct01").translators
    for direction in [direction for direction in translator.directions if "t2" in direction]:
        del translator.directions[direction]
    with pytest.raises(InputError, match="direction: found ct to t2, expected one of"):
        write_cases(study / "scans.csv", WHO, fits, "ct", Intensity(), tmp_path)


def test_a_real_ct_there_and_back_stays_in_hounsfield_units_up_to_its_border(study, tmp_path):
    with tarfile.open(real("chaos_ct3.tar.xz")) as tar:
        tar.extractall(tmp_path / "raw", filter="data")
    (scan,) = READERS["chaos"](tmp_path / "raw")
    image, label = scan.read()
    some = [
        Volume(found.array[30:70:8], (*found.spacing_mm[:2], 8 * found.spacing_mm[2]), found.origin_mm, found.direction)
        for found in (image, label)
    ]
    scan = replace(scan, voxels=lambda: tuple(some))
    write_scans([scan], tmp_path / "scans.csv")
    who = splits.Splits(train=[scan.patient], watch=[], test=[], unlabelled=[])
    (tmp_path / "cases").mkdir()
    rows = write_cases(tmp_path / "scans.csv", who, fits_of(study, who), "ct", Intensity(), tmp_path / "cases")
    assert rows["case"].tolist() == ["ct03_ct_by_t1", "ct03_ct_by_t2"]
    inside = create_nonzero_mask(some[0].array[None])
    assert 0 < (~inside).sum() < inside.size / 1000  # flesh of 0 HU at the border of the image
    for name in rows["image"]:
        found = volume.read(tmp_path / "cases" / name)
        assert volume.same_grid(found, some[0])
        assert found.array.min() >= -160
        assert found.array.max() <= 240
        assert not found.array[~inside].any()
