"""The small study's single channel, and what tunes its network: synthetic and reconstructed cases."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, volume
from enrich.nnunet import dataset, preprocess
from enrich.volume import Volume
from gan.files import publish_json, sha256

from .study import PATIENTS, Study, abdomen, call

TRAINING = [*PATIENTS["train"], *PATIENTS["watch"]]
OTHERS = ["mr01", "mr02"]  # patients without a CT
SYNTHETIC = {f"{patient}_t1_to_ct": patient for patient in OTHERS}
FURTHER = SYNTHETIC | {f"{patient}_ct_by_t1": patient for patient in TRAINING}


def write_cases(root: Path, cases: dict[str, str] = FURTHER, target: str = "ct") -> Path:
    """Write cases as `enrich.cases` does; their slices lie closer than those of the scans."""
    folder = root / "cases"
    rows = []
    for seed, (name, patient) in enumerate(cases.items(), 100):
        image, label = (Volume(found.array, (2.0, 1.0, 3.0)) for found in abdomen(seed))
        image = image.with_array(np.where(image.array == 0, -1024, image.array).astype(np.int16))
        for path, content in ((folder / f"{name}.nii.gz", image), (folder / "labels" / f"{name}.nii.gz", label)):
            path.parent.mkdir(parents=True, exist_ok=True)
            volume.write(content, path)
        source, through = ("t1", "") if "_to_" in name else ("ct", "t1")
        files = (f"{name}.nii.gz", f"labels/{name}.nii.gz")
        hashes = [sha256(folder / path) for path in files]
        rows.append((name, patient, source, target, through, files[0], hashes[0], files[1], hashes[1]))
    index.write(pd.DataFrame(rows, columns=index.CASES), folder / "index.csv")
    return folder / "index.csv"


def write_single_dataset(study: Study, folder: Path, cases: Path | None, folds: str = "0") -> Path:
    """Run the program that writes a raw dataset of CT alone, with cases or without."""
    output = folder / "raw" / "Dataset001_enriched" / "dataset.json"
    splits = folder / "splits.json"
    splits.parent.mkdir(parents=True, exist_ok=True)
    publish_json(splits, PATIENTS | {"train": [*PATIENTS["train"], *OTHERS], "unlabelled": []})
    arguments = ["--scans", study.scans, "--splits", splits, "--modality", "ct", "--modalities", "ct", "t1"]
    arguments += ["--folds", folds, "--output", output]
    call(dataset.main, *arguments, *([] if cases is None else ["--cases", cases]))
    return output


def write_preprocessed(raw: Path, plans_of: Path | None) -> Path:
    output = raw.parents[2] / "preprocessed" / raw.parent.name / "preprocessed.json"
    arguments = ["--dataset", raw, "--configuration", "2d", "--foreground-samples", 20_000, "--output", output]
    call(preprocess.main, *arguments, *([] if plans_of is None else ["--plans-of", plans_of]))
    return output


def content(path: Path) -> dict:
    return json.loads(path.read_text())
