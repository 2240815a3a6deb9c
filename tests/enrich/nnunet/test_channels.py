"""Added channels that are 0 outside the source's non-zero mask leave nnU-Net's view of the real channel as it was."""

import json
from dataclasses import dataclass
from pathlib import Path

import blosc2
import numpy as np
import pytest

from enrich import volume
from enrich.nnunet.preprocess import preprocess
from enrich.volume import Volume
from tests.real import real

from .study import Study, abdomen, translated, write_dataset, write_study


@dataclass(frozen=True)
class View:
    """What nnU-Net makes of the real channel."""

    masked_normalization: bool
    statistics: dict[str, float]
    shapes_after_crop: list[list[int]]
    voxels: dict[str, np.ndarray]

    def differences(self, other: "View") -> set[str]:
        """Return the names of the attributes that differ."""
        names = {
            name
            for name in ("masked_normalization", "statistics", "shapes_after_crop")
            if getattr(self, name) != getattr(other, name)
        }
        same = all(np.array_equal(self.voxels[case], other.voxels[case]) for case in self.voxels)
        return names if same else names | {"voxels"}


def view(study: Study, folder: Path, target: str | None) -> View:
    raw = write_dataset(study, folder, "t1ce", target)
    output = folder / "preprocessed" / raw.parent.name
    preprocess(raw, output, "2d", foreground_samples=20_000)
    plans = json.loads((output / "nnUNetPlans.json").read_text())
    voxels = {
        path.stem: blosc2.open(str(path), mode="r")[0]
        for path in (output / "nnUNetPlans_2d").glob("*.b2nd")
        if not path.stem.endswith("_seg")
    }
    return View(
        plans["configurations"]["2d"]["use_mask_for_norm"][0],
        plans["foreground_intensity_properties_per_channel"]["0"],
        json.loads((output / "dataset_fingerprint.json").read_text())["shapes_after_crop"],
        voxels,
    )


def small() -> dict[str, tuple[Volume, Volume]]:
    """Two images whose background of exact 0 is worth cropping, with 0 inside the body too."""

    def padded(found: Volume) -> Volume:
        return Volume(np.pad(found.array, ((0, 0), (9, 9), (9, 9))), found.spacing_mm)

    return {case: tuple(map(padded, abdomen(seed))) for seed, case in enumerate(("p1", "p2"))}


def brats() -> dict[str, tuple[Volume, Volume]]:
    """Two patients of BraTS, every second voxel of some slices."""
    sample = real("brats2015_six")
    images = {}
    for case in ("0005", "0006"):
        stem = f"brats_2013_pat{case}_1"
        image, label = (volume.read(sample / stem / f"{stem}_{name}.nii.gz") for name in ("t1ce", "seg"))
        spacing = tuple(2 * mm for mm in image.spacing_mm)
        cut = (slice(60, 100, 4), slice(None, None, 2), slice(None, None, 2))
        mask = (label.array[cut] > 0).astype(np.uint8)
        images[case] = Volume(image.array[cut], spacing), Volume(mask, spacing)
    return images


@pytest.mark.parametrize("images", [small, brats], ids=["small", "brats"])
def test_added_channels_leave_the_real_channel_as_it_was(images, tmp_path: Path):
    def study_of(name: str, background: float) -> Study:
        def translate(array: np.ndarray) -> np.ndarray:
            inside = translated(array)
            return np.where(inside == 0, np.float32(background), inside)

        patients = {"train": list(content), "watch": [], "test": []}
        return write_study(tmp_path / name, content, translate, "t1ce", "flair", patients)

    content = images()
    zero, minus_one = study_of("zero", 0), study_of("minus_one", -1)
    alone = view(zero, zero.root / "alone", None)
    assert alone.masked_normalization
    assert view(zero, zero.root / "enriched", "flair").differences(alone) == set()
    broken = view(minus_one, minus_one.root / "enriched", "flair")
    assert {"masked_normalization", "shapes_after_crop", "voxels"} <= broken.differences(alone)
