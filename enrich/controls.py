"""What stands in the place of synthetic channels in the controls: nothing, the source again, or the real scans."""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, volume
from gan.errors import InputError, run
from gan.files import publish_folder, sha256

KINDS = {
    "zero": "empty volumes: what further channels alone change",
    "copy": "the source scan again: what a translation must beat",
    "oracle": "the real scans of the other modalities, of aligned data: what a translation can reach",
}


def write_control(
    kind: str, scans_csv: Path, modalities: list[str], folder: Path, home: Path, dropped: Path | None = None
) -> pd.DataFrame:
    """Return an index that names an image for every scan and every other modality.

    Empty volumes are written to `folder`, one a scan, on its grid; no other voxel is copied. An oracle's channels are
    real, and change crop and normalization as real channels do.

    Args:
        kind: a key of `KINDS`.
        scans_csv: the scans.
        modalities: all of them.
        folder: for the files.
        home: where the folder is published, to which paths are relative.
        dropped: further scans, that an oracle alone may use.

    Raises:
        InputError: kind `oracle`, and a scan without an aligned one of another modality.
    """
    scans = index.read(scans_csv, index.SCANS)
    known = pd.concat([scans, index.read(dropped, index.SCANS)]) if dropped is not None else scans
    images = {(row["case"], row["modality"]): row for _, row in known.iterrows()}
    rows = []
    for _, scan in scans.iterrows():
        case, source = scan["case"], scan["modality"]
        path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
        grid = volume.read_grid(path)
        if kind == "zero":
            path = folder / f"{case}_{source}_zero.nii.gz"
            volume.write(grid.with_array(np.zeros(grid.array.shape, np.uint8)), path)
        for target in (name for name in modalities if name != source):
            shown = path
            if kind == "oracle":
                if (case, target) not in images:
                    expected = f"one, for the control oracle beside {source}"
                    raise InputError(scans_csv, f"no {target} scan of {case}", expected)
                real = images[case, target]
                shown = index.file_of(scans_csv, real["image"], real["image_sha256"])
                volume.require_same_grid(shown, volume.read_grid(shown), grid)
            name = shown.name if kind == "zero" else os.path.relpath(shown.absolute(), home.absolute())
            rows.append((case, source, target, name, sha256(shown)))
    return pd.DataFrame(rows, columns=index.SYNTHETIC)


def main() -> None:
    """Parse the command line and publish the folder of a control."""
    parser = argparse.ArgumentParser(prog="python -m enrich.controls", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--dropped", type=Path, help="dropped.csv beside it, for an oracle")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    home = arguments.output.parent
    with publish_folder(home) as folder:
        rows = write_control(arguments.kind, arguments.scans, arguments.modalities, folder, home, arguments.dropped)
        index.write(rows, folder / "index.csv")


if __name__ == "__main__":
    run(main)
