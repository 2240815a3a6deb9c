"""Compare a predicted mask with its reference: `python -m enrich.evaluate PREDICTION REFERENCE` prints JSON.

The DICE by slice is the mean over all axial slices: which of them the scan fills is not known here.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from enrich.axial import AXIAL
from enrich.metrics.segmentation import scores
from enrich.volume import Volume, read, reorient, require_same_grid
from gan.errors import InputError, run


def read_label_map(path: Path) -> Volume:
    """Read a label map in axial slices.

    Raises:
        InputError: the file is unreadable or holds other than whole numbers.
    """
    volume = reorient(read(path), AXIAL)
    if (volume.array != np.round(volume.array)).any():
        raise InputError(path, f"label values {np.unique(volume.array)[:8].tolist()}", "whole numbers")
    return volume


def read_mask(path: Path, values: Sequence[int] | None = None) -> Volume:
    """Read a mask as booleans, in axial slices: a file of zeros and ones, or of numbers of which `values` are inside.

    Raises:
        InputError: the file is unreadable or holds other values.
    """
    volume = read_label_map(path)
    if values is None and not np.isin(volume.array, (0, 1)).all():
        found = np.unique(volume.array)[:8].tolist()
        raise InputError(path, f"label values {found}", "only 0 and 1, or a label to pick")
    return volume.with_array(np.isin(volume.array, (1,) if values is None else values))


def main() -> None:
    """Print the metrics of one pair of files; what is undefined prints as null."""
    parser = argparse.ArgumentParser(prog="python -m enrich.evaluate", description=__doc__)
    parser.add_argument("prediction", type=Path, help="NIfTI mask")
    parser.add_argument("reference", type=Path, help="NIfTI mask on the same grid")
    parser.add_argument(
        "--label", type=int, nargs="+", help="the structure's values in label maps, if they are no masks"
    )
    arguments = parser.parse_args()
    prediction, reference = (read_mask(path, arguments.label) for path in (arguments.prediction, arguments.reference))
    require_same_grid(arguments.prediction, prediction, reference)
    metrics = scores(prediction.array, reference.array, reference.spacing_mm[::-1])
    printable = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    sys.stdout.write(json.dumps(printable, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
