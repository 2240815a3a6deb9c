"""A scan that is unlike the training data gets a warning that says what and how far; one like them gets none."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from enrich.unlike import describe, summarize, warnings
from tests.enrich.conftest import OBLIQUE, make_scan

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
