"""Compare a predicted mask with its reference: `python -m enrich.evaluate PREDICTION REFERENCE` prints JSON.

The DICE by slice is the mean over all axial slices: which of them the scan fills is not known here.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

from enrich.axial import AXIAL
from enrich.metrics.segmentation import scores
from enrich.volume import Volume, read, reorient, require_same_grid
from gan.errors import InputError, run


def read_mask(path: Path, label: int | None = None) -> Volume:
    """Read a mask as booleans, in axial slices: a file of zeros and ones, or of numbers among which `label` is one.

    Raises:
        InputError: the file is unreadable or holds other values.
    """
    volume = reorient(read(path), AXIAL)
    values = np.unique(volume.array)
    if label is None and not np.isin(values, (0, 1)).all():
        raise InputError(path, f"label values {values[:8].tolist()}", "only 0 and 1, or a label to pick")
    if (values != np.round(values)).any():
        raise InputError(path, f"label values {values[:8].tolist()}", "whole numbers")
    return volume.with_array(volume.array == (1 if label is None else label))


def main() -> None:
    """Print the metrics of one pair of files; what is undefined prints as null."""
    parser = argparse.ArgumentParser(prog="python -m enrich.evaluate", description=__doc__)
    parser.add_argument("prediction", type=Path, help="NIfTI mask")
    parser.add_argument("reference", type=Path, help="NIfTI mask on the same grid")
    parser.add_argument("--label", type=int, help="the structure's value in label maps; masks hold only 0 and 1")
    arguments = parser.parse_args()
    prediction, reference = (read_mask(path, arguments.label) for path in (arguments.prediction, arguments.reference))
    require_same_grid(arguments.prediction, prediction, reference)
    metrics = scores(prediction.array, reference.array, reference.spacing_mm[::-1])
    printable = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    sys.stdout.write(json.dumps(printable, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
