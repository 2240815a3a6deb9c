"""A small study with scans, a split, and synthetic scans that are the real ones of the target, or noise."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, volume
from enrich.intensity import Intensity, denormalize
from enrich.splits import Splits
from enrich.translations import read_picture
from gan.files import publish_json, sha256
from tests.enrich.conftest import OBLIQUE, make_scan
from tests.enrich.prepared import write_scans

INTENSITY = Intensity()
FITS = {"ct02": "all", "mr02": "fold1"}


@dataclass(frozen=True)
class Study:
    """The files that the programs start from."""

    root: Path

    @property
    def scans(self):
        return self.root / "scans.csv"

    @property
    def splits(self):
        return self.root / "splits.json"

    @property
    def synthetic(self):
        return self.root / "synthetic" / "index.csv"

    @property
    def arguments(self):
        intensity = json.dumps(asdict(INTENSITY))
        return ["--scans", self.scans, "--splits", self.splits, "--intensity", intensity]

    def row(self, case, modality):
        rows = index.read(self.scans, index.SCANS)
        return rows[(rows["case"] == case) & (rows["modality"] == modality)].iloc[0]

    def predictions(self, target, changes, columns=index.SEGMENTED):
        """Write an index of masks: (case, source) to what is made of the label; return its path."""
        folder = self.root / f"{'-'.join(columns[:2])}-{target}"
        rows = []
        for (case, source), change in changes.items():
            label = volume.read(self.scans.parent / self.row(case, source)["label"])
            path = folder / f"{case}_{source}.nii.gz"
            volume.write(label.with_array(change(label.array)), path)
            rows.append({"case": case, "source": source, "image": path.name, "sha256": sha256(path)})
        index.write(pd.DataFrame(rows)[list(columns)], folder / "index.csv")
        return folder / "index.csv"


def write_study(root: Path) -> Study:
    """Two CT and two MR patients of whom one each tests; T1 and T2 are aligned, and both CTs lie otherwise."""
    study = Study(root)
    scans = [
        make_scan("ct01", "ct", seed=1),
        make_scan("ct02", "ct", seed=2, direction=OBLIQUE),
        *(make_scan(f"mr0{k}", modality, seed=10 * k + int(modality[1])) for k in (1, 2) for modality in ("t1", "t2")),
    ]
    write_scans(scans, study.scans)
    publish_json(study.splits, asdict(Splits(["ct01", "mr01"], [], ["ct02", "mr02"], [])))
    rows = []
    for case, source, target in [
        ("ct02", "ct", "t1"), ("mr02", "t1", "ct"), ("mr02", "t1", "t2"), ("mr02", "t2", "t1"), ("mr01", "t1", "ct"),
    ]:  # fmt: skip
        path = study.synthetic.parent / f"{case}_{source}_to_{target}.nii.gz"
        volume.write(_synthetic(study, case, source, target), path)
        rows.append((case, source, target, path.name, sha256(path), FITS.get(case, "fold0")))
    index.write(pd.DataFrame(rows, columns=[*index.SYNTHETIC, "fit"]), study.synthetic)
    return study


def _synthetic(study, case, source, target):
    """Return the aligned real scan as a translator would have stored it, or noise in the stored range."""
    scan = volume.read(study.root / study.row(case, source)["image"])
    if {source, target} == {"t1", "t2"}:
        images = read_picture(study.scans, study.row(case, target), INTENSITY).images
    else:
        images = np.random.default_rng(0).uniform(-1, 1, volume.reorient(scan, "LPS").array.shape).astype(np.float32)
    axial = volume.reorient(scan, "LPS").with_array(denormalize(images, target, INTENSITY))
    return volume.reorient(axial, scan.orientation)
