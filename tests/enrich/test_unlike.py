"""A scan that is unlike the training data gets a warning that says what and how far; one like them gets none."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from enrich import volume
from enrich.unlike import _nearer, describe, summarize, warnings
from tests.enrich.conftest import OBLIQUE, make_scan
from tests.real import real

WHERE = Path("scan.nii.gz")


def image(modality, **more):
    return make_scan("case", modality, **more).read()[0]


@pytest.fixture(scope="module")
def training():
    return {
        modality: summarize((describe(image(modality, seed=seed), modality, WHERE) for seed in range(3)), modality)
        for modality in ("ct", "t1")
    }


@pytest.mark.parametrize("modality", ["ct", "t1"])
def test_a_scan_like_the_training_scans_in_whatever_orientation(training, modality):
    assert warnings(image(modality, seed=9), modality, training, WHERE) == []
    # in OBLIQUE x runs to the back, y down and z to the left
    turned = image(modality, seed=9, shape=(30, 6, 40), direction=OBLIQUE)
    turned = dataclasses.replace(turned, spacing_mm=(2.0, 5.0, 1.5))
    assert not [text for text in warnings(turned, modality, training, WHERE) if not text.startswith("intensities")]


def test_another_scale_of_mr_is_no_surprise(training):
    scan = image("t1", seed=9)
    assert warnings(scan.with_array(scan.array * 7), "t1", training, WHERE) == []


def test_mr_instead_of_ct(training):
    (found,) = warnings(image("t1", seed=9), "ct", training, WHERE)
    assert found.startswith("intensities unlike CT in training, ")
    assert found.endswith("it looks like T1w")


def test_ct_instead_of_mr(training):
    found = warnings(image("ct", seed=9), "t1", training, WHERE)
    assert found[0].startswith("intensities down to -10")
    assert found[0].endswith("in training none below 0: it may be CT")


def test_another_grid(training):
    scan = dataclasses.replace(image("ct", seed=9), spacing_mm=(1.5, 2.0, 12.5))
    assert warnings(scan, "ct", training, WHERE) == [
        "voxel spacing from slice to slice 12.5 mm, in training 5 mm",
        "extent from slice to slice 75 mm, in training 30 mm",
    ]


def test_stored_units_instead_of_hu(training):
    scan = image("ct", seed=9)
    (found,) = warnings(scan.with_array(scan.array + 1024), "ct", training, WHERE)
    assert "times as far from their mean as the farthest training scan" in found


def test_noise_is_not_silently_taken(training):
    scan = image("t1", seed=9)
    noise = np.random.default_rng(0).random(scan.array.shape).astype(np.float32)
    assert warnings(scan.with_array(noise), "t1", training, WHERE)


def profile(*quantiles):
    return np.interp(np.linspace(0, 1, 25), np.linspace(0, 1, len(quantiles)), quantiles)


def test_mr_of_another_sequence(training):
    """A sequence whose scans vary so much that every scan of the other is within their spread."""
    t1, dark = (describe(image("t1", seed=seed), "t1", WHERE) for seed in range(2))
    other = dict(t1, quantiles=profile(0, 0.9, 0.95, 1).tolist())
    dark["quantiles"] = profile(0, 0.05, 0.1, 1).tolist()
    known = training | {"t1": summarize([other, dark], "t1"), "flair": summarize([t1], "flair")}
    found = warnings(image("t1", seed=9), "t1", known, WHERE)
    assert found == ["intensities nearer to a training scan of FLAIR than to any of T1w"]
    assert warnings(image("t1", seed=9), "flair", known, WHERE) == []


def test_two_sequences_alike_are_not_told_apart(training):
    known = training | {"t2": training["t1"]}
    for seed in range(3, 9):
        assert warnings(image("t1", seed=seed), "t1", known, WHERE) == []


def test_real_sequences_under_a_wrong_name():
    """What the docstring of `_nearer` and the model card say of BraTS 2015."""
    known = {}
    for path in sorted(real("brats2015_six").glob("*/*.nii.gz")):
        if (name := path.name.removesuffix(".nii.gz").rpartition("_")[2]) != "seg":
            known[path.parent.name, name] = describe(volume.read(path), name, path)
    doubted = {True: 0, False: 0}
    for (patient, name), facts in known.items():
        training = {
            other: summarize([own for (who, what), own in known.items() if what == other and who != patient], other)
            for other in ("flair", "t1ce")
        }
        for said in training:
            doubted[said == name] += _nearer(np.array(facts["quantiles"]), said, training) is not None
    assert doubted == {True: 0, False: 8}
