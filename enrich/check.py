"""Check a data set before a week of training: one CSV row a scan, or the first error.

python -m enrich.check chaos /data/CHAOS
python -m enrich.check brats /data/BraTS2021 --release 2021
python -m enrich.check table my/scans.csv --structures '{"tumour": [4, 5, 6, 7]}'
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from enrich.datasets import READERS
from enrich.datasets import scans as read_scans
from enrich.scan import Scan, Structures
from enrich.volume import Volume
from gan.errors import InputError, run

Row = dict[str, str | float]


def rows(scans: Iterable[Scan]) -> Iterator[Row]:
    """Read every scan and yield what a person would compare with the data set's description.

    Shape is z, y, x; spacing x, y, z in mm; orientation says where x, y and z point to; millilitres, mean and standard
    deviation of the intensities are those inside each structure, absent without a label map or where it is empty.

    Raises:
        InputError: a scan that cannot be used.
    """
    for scan in scans:
        image, label = scan.read()
        row: Row = {
            "case": scan.case,
            "patient": scan.patient,
            "modality": scan.modality,
            "shape": "x".join(map(str, image.array.shape)),
            "spacing_mm": "x".join(f"{mm:.7g}" for mm in image.spacing_mm),
            "orientation": image.orientation,
            "minimum": round(float(image.array.min()), 4),
            "maximum": round(float(image.array.max()), 4),
        }
        if label is not None:
            row |= _inside(image, label, scan.structures)
        yield row


def _inside(image: Volume, label: Volume, structures: Structures) -> Row:
    row: Row = {}
    for name, values in structures.items():
        inside = image.array[np.isin(label.array, values)].astype(np.float64)
        row[f"{name}_ml"] = round(inside.size * image.voxel_ml, 3)
        if inside.size:
            row |= {f"{name}_mean": round(inside.mean(), 2), f"{name}_std": round(inside.std(), 2)}
    return row


def columns(scans: list[Scan]) -> list[str]:
    """Return the columns of the table: those of every scan, then three for each structure of any."""
    structures = dict.fromkeys(name for scan in scans for name in scan.structures)
    common = ["case", "patient", "modality", "shape", "spacing_mm", "orientation", "minimum", "maximum"]
    return common + [f"{name}_{figure}" for name in structures for figure in ("ml", "mean", "std")]


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description="Read a data set and print one CSV row a scan, or the first error.")
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--release", help="of BraTS")
    parser.add_argument("--structures", type=json.loads, help='of a table, as JSON: {"liver": [1]}')
    arguments = parser.parse_args()
    options = {"release": arguments.release, "structures": arguments.structures}
    scans = list(read_scans(arguments.reader, arguments.folder, **options))
    if not scans:
        raise InputError(arguments.folder, "no scan", "at least one")
    writer = csv.DictWriter(sys.stdout, columns(scans), lineterminator="\n")
    writer.writeheader()
    for row in rows(tqdm(scans, unit="scan", disable=None)):
        writer.writerow(row)
        sys.stdout.flush()


if __name__ == "__main__":
    run(main)
