"""Enriched cases for the segmenters of `gan`: channels, slices, and masks back on the scan's own grid."""

import numpy as np
import pandas as pd
import pytest

from enrich import index, volume
from enrich.channels import read_channels
from enrich.enriched_slices import CaseCutter, stacks
from enrich.intensity import Intensity, denormalize
from enrich.nnunet.dataset import cases
from enrich.segment import segment
from enrich.slices import write_facts, write_slices
from enrich.splits import Splits
from gan.batch import Draw, Slices
from gan.errors import InputError
from gan.files import publish_json, sha256
from gan.methods import METHODS
from gan.segmenter import Segmenter
from gan.settings import resolve
from gan.train import train
from tests.enrich.conftest import OBLIQUE, make_scan
from tests.enrich.prepared import write_scans

WHO = Splits(train=["ct01", "ct02"], watch=["ct03"], test=["ct04"], unlabelled=[])
ADDED = ["t1", "t2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a folder with scans.csv and an index of synthetic channels: ramps, t1 along x, t2 along y."""
    folder = tmp_path_factory.mktemp("study")
    scans = [make_scan(f"ct0{n}", "ct", seed=n, direction=OBLIQUE if n == 4 else None) for n in (1, 2, 3, 4)]
    write_scans(scans, folder / "scans.csv")
    table = index.read(folder / "scans.csv")
    (folder / "synthetic").mkdir()
    rows = []
    for case, image in zip(table["case"], table["image"], strict=True):
        scan = volume.read(folder / image)
        axial = volume.reorient(scan, "LPS")
        shape = axial.array.shape
        ramps = {"t1": np.linspace(-1, 1, shape[2])[None, None], "t2": np.linspace(-1, 1, shape[1])[None, :, None]}
        for name, ramp in ramps.items():
            made = denormalize(np.broadcast_to(ramp, shape).astype(np.float32), name, Intensity())
            path = folder / "synthetic" / f"{case}_{name}.nii.gz"
            volume.write(volume.reorient(axial.with_array(made), scan.orientation), path)
            rows.append((case, "ct", name, path.name, sha256(path)))
    columns = ["case", "source", "target", "image", "sha256"]
    index.write(pd.DataFrame(rows, columns=columns), folder / "synthetic" / "index.csv")
    return folder


def read_cases(study, added=ADDED):
    synthetic = study / "synthetic" / "index.csv" if added else None
    return list(cases(study / "scans.csv", "ct", synthetic, added))


def test_channels_are_axial_in_order_and_in_range(study):
    scans = index.of_modality(index.read(study / "scans.csv", index.SCANS), "ct")
    for case in read_cases(study):
        real, t1, t2 = read_channels(case, scans[case.name], ADDED, Intensity()).images
        assert real.orientation == "LPS"
        x, y = np.linspace(-1, 1, real.array.shape[2]), np.linspace(-1, 1, real.array.shape[1])
        np.testing.assert_allclose(t1.array, np.broadcast_to(x[None, None], t1.array.shape), atol=2e-3)
        np.testing.assert_allclose(t2.array, np.broadcast_to(y[None, :, None], t2.array.shape), atol=2e-3)
        assert np.abs(real.array).max() <= 1


def test_enriched_slices_stack_the_training_and_the_watched_patients_alone(study, tmp_path):
    found = stacks(
        CaseCutter(study / "scans.csv", WHO, "ct", ADDED, Intensity(), 32), study / "synthetic" / "index.csv"
    )
    write_slices(found, tmp_path, 32)
    write_facts(tmp_path, ["ct", *ADDED], 32, {}, {})
    slices = Slices(tmp_path)
    assert set(slices.index["patient"]) == {"ct01", "ct02", "ct03"}
    assert set(slices.index.loc[slices.train, "patient"]) == {"ct01", "ct02"}
    assert set(Slices(tmp_path, watched_train=True).index["set"]) == {"train"}
    batch = slices.batch(0, 4, 0, Draw.STACKED)
    assert batch.image.shape == (4, 3, 32, 32)
    for image, mask in zip(batch.image, batch.target_mask, strict=True):
        assert image[2].mean(dim=1).diff()[5:25].min() > 0  # t2 rises along y, flipped or not
        rising = image[1].mean(dim=0)[10:22].diff()
        assert (rising > 0).all() or (rising < 0).all()  # t1 along x
        if mask.any():
            assert image[0][mask[0] > 0].mean() > image[0][mask[0] == 0].mean()


class Bright:
    """Stands for trained networks: what is bright in the first channel is the target."""

    image_size = 32

    def segment(self, images, modality, slice_over_pixel):
        self.seen = (images.shape, modality, slice_over_pixel)
        return (images[:, 0] > 0.25).astype(np.float32)


@pytest.mark.parametrize("added", [[], ADDED])
def test_a_mask_lies_on_the_target_of_scans_in_any_orientation(study, added):
    scans, bright = index.of_modality(index.read(study / "scans.csv", index.SCANS), "ct"), Bright()
    everyone = read_cases(study, added)
    for (name, mask), case in zip(segment(everyone, scans, "ct", added, bright, Intensity()), everyone, strict=True):
        label = volume.read(case.label)
        assert name == case.name
        assert volume.same_grid(mask, label)
        overlap = 2 * (mask.array & label.array).sum() / (mask.array.sum() + label.array.sum())
        assert overlap > 0.8
        slices = volume.reorient(label, "LPS").array.shape[0]
        assert bright.seen[:2] == ((slices, 1 + len(added), 32, 32), "ct")
    spacing = volume.reorient(volume.read_grid(everyone[0].images[0]), "LPS").spacing_mm
    assert spacing[2] == 5


@pytest.fixture(scope="module")
def model(study, tmp_path_factory):
    """Return a SegAN of three channels, trained for a moment."""
    folder = tmp_path_factory.mktemp("slices")
    found = stacks(
        CaseCutter(study / "scans.csv", WHO, "ct", ADDED, Intensity(), 32), study / "synthetic" / "index.csv"
    )
    write_slices(found, folder, 32)
    write_facts(folder, ["ct", *ADDED], 32, {}, {})
    segan = METHODS["segan"]
    entry = {"width": 4, "batch_size": 2, "rounds": 2}
    output = tmp_path_factory.mktemp("segan")
    train(Slices(folder), "segan", resolve(segan.paper, segan.official, entry, "segan"), 0, output, {}, resume=False)
    return output / "model.pt"


def test_a_segmenter_takes_the_channels_of_its_training_and_no_others(study, model):
    segmenter, scans = Segmenter([model]), index.of_modality(index.read(study / "scans.csv", index.SCANS), "ct")
    ((name, mask),) = segment(read_cases(study)[-1:], scans, "ct", ADDED, segmenter, Intensity())
    assert name == "ct04"
    assert set(np.unique(mask.array)) <= {0, 1}
    stack = np.zeros((2, 3, 32, 32), np.float32)
    with pytest.raises(InputError, match=r"found 1 channels, the first ct, expected 3: ct, t1, t2"):
        segmenter.segment(stack[:, :1], "ct")
    with pytest.raises(InputError, match=r"found 3 channels, the first t1, expected 3: ct, t1, t2"):
        segmenter.segment(stack, "t1")


def test_the_program_segments_the_test_patients_alone(study, model, tmp_path, monkeypatch):
    import sys

    from enrich import segment as program

    publish_json(study / "splits.json", WHO.__dict__)
    arguments = ["--scans", study / "scans.csv", "--splits", study / "splits.json", "--modality", "ct"]
    arguments += ["--modalities", "ct", *ADDED, "--synthetic", study / "synthetic/index.csv", "--models", model]
    arguments += ["--intensity", "{}", "--output", tmp_path / "predictions/index.csv"]
    monkeypatch.setattr(sys, "argv", ["enrich.segment", *map(str, arguments)])
    program.main()
    table = index.read(tmp_path / "predictions/index.csv", index.PREDICTIONS)
    assert table["case"].tolist() == ["ct04"]
