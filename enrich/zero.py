"""Empty channels in place of synthetic ones: the control that any gain must beat."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, volume
from gan.errors import run
from gan.files import publish_folder, sha256


def write_zeros(scans_csv: Path, modalities: list[str], folder: Path) -> pd.DataFrame:
    """Write one empty volume a scan, on its grid, to `folder`; return an index naming it for every other modality."""
    rows: list[tuple[str, ...]] = []
    for _, scan in index.read(scans_csv, index.SCANS).iterrows():
        grid = volume.read_grid(index.file_of(scans_csv, scan["image"], scan["image_sha256"]))
        image = folder / f"{scan['case']}_{scan['modality']}_zero.nii.gz"
        volume.write(grid.with_array(np.zeros(grid.array.shape, np.uint8)), image)
        digest = sha256(image)
        rows.extend(
            (scan["case"], scan["modality"], target, image.name, digest)
            for target in modalities
            if target != scan["modality"]
        )
    return pd.DataFrame(rows, columns=["case", "source", "target", "image", "sha256"])


def main() -> None:
    """Parse the command line and publish the folder of empty volumes."""
    parser = argparse.ArgumentParser(description="Write an empty volume for every scan.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        rows = write_zeros(arguments.scans, arguments.modalities, folder)
        rows.to_csv(folder / "index.csv", index=False)


if __name__ == "__main__":
    run(main)
