"""A small enriched data set: CT with a bright liver, and T1w images made of it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enrich import index, volume
from enrich.nnunet import dataset
from enrich.structures import Structures
from enrich.volume import Volume
from gan.files import publish_json, sha256

PATIENTS = {"train": ["ct01", "ct02", "ct03", "ct04"], "watch": ["ct05"], "test": ["ct06", "ct07"]}
SHAPE = (6, 48, 48)


@dataclass(frozen=True)
class Study:
    """The files that the programs start from, as one run's folder holds them."""

    root: Path

    @property
    def scans(self) -> Path:
        return self.root / "scans.csv"

    @property
    def splits(self) -> Path:
        return self.root / "splits.json"

    @property
    def synthetic(self) -> Path:
        return self.root / "synthetic" / "targan" / "seed0" / "index.csv"


def write_study(
    root: Path, images: dict[str, tuple[Volume, Volume]], translate, modality: str, target: str, patients=PATIENTS
) -> Study:
    """Write scans.csv, splits.json and a synthetic index; `translate` makes the synthetic array of an image."""
    study = Study(root)
    scans, synthetic = [], []
    for case, (image, label) in images.items():
        paths = {name: f"scans/{case}_{modality}{name}.nii.gz" for name in ("", "_label")}
        for path, content in zip(paths.values(), (image, label), strict=True):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            volume.write(content, root / path)
        hashes = {name: sha256(root / path) for name, path in paths.items()}
        row = {"case": case, "patient": case, "modality": modality, "image": paths[""], "label": paths["_label"]}
        facts = {"window_low_hu": "", "window_high_hu": "", "target_ml": label.array.sum() * label.voxel_ml}
        scans.append(row | {"image_sha256": hashes[""], "label_sha256": hashes["_label"]} | facts)
        name = f"{case}_{modality}_to_{target}.nii.gz"
        volume.write(image.with_array(translate(image.array)), study.synthetic.parent / name)
        row = {"case": case, "source": modality, "target": target, "image": name}
        synthetic.append(row | {"sha256": sha256(study.synthetic.parent / name)})
    index.write(pd.DataFrame(scans), study.scans)
    Structures(("liver",), {name: {"liver": (1,)} for name in (modality, target)}).write(study.scans)
    index.write(pd.DataFrame(synthetic), study.synthetic)
    publish_json(study.splits, patients | {"unlabelled": []})
    return study


def abdomen(seed: int) -> tuple[Volume, Volume]:
    """Return a CT in HU, and its label map: a bright blob in soft tissue, on an oblique grid, in air that is 0."""
    generator = np.random.default_rng(seed)
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((y - 24) / 20) ** 2 + ((x - 24) / 22) ** 2 < 1
    centre = 20 + 6 * generator.random(2)
    liver = ((y - centre[0]) / 8) ** 2 + ((x - centre[1]) / 9) ** 2 + ((z - 3) / 4) ** 2 < 1
    hounsfield = np.where(body, 40 + 90 * liver + 8 * generator.standard_normal(SHAPE), 0)
    grid = {"spacing_mm": (1.5, 1.5, 5.0), "origin_mm": (-10.0, 20.0, 5.0)}
    grid["direction"] = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8)
    return Volume(np.round(hounsfield).astype(np.int16), **grid), Volume(liver.astype(np.uint8), **grid)


def translated(array: np.ndarray) -> np.ndarray:
    """Stand for a synthetic image: other contrast inside the source's non-zero mask, and 0 outside."""
    from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

    return (np.sqrt(np.abs(array)) + 5).astype(np.float32) * create_nonzero_mask(array[None])


def write_dataset(study: Study, folder: Path, modality: str, target: str | None, folds: str = "all") -> Path:
    """Run the program that writes a raw dataset in `folder`; without a target, of the real channel alone."""
    output = folder / "raw" / "Dataset001_enriched" / "dataset.json"
    arguments = ["--scans", study.scans, "--splits", study.splits, "--modality", modality]
    arguments += ["--modalities", modality, target or modality, "--folds", folds, "--output", output]
    call(dataset.main, *arguments, *([] if target is None else ["--synthetic", study.synthetic]))
    return output


def write_published(preprocessed: Path, name: str, content: object) -> Path:
    """Write a JSON file of a preprocessed dataset as if it had been published so; return `preprocessed.json`."""
    path = preprocessed.with_name(name)
    path.write_text(json.dumps(content))
    told = json.loads(preprocessed.read_text())
    publish_json(preprocessed, told | {"sha256": told["sha256"] | {name: sha256(path)}})
    return preprocessed


def call(main: Callable[[], None], *arguments: object) -> None:
    """Call a program in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["program", *map(str, arguments)])
        main()
