"""Score one segmenter's predictions: one CSV row per patient × modality × method × seed × structure."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from enrich import index, structures, volume
from enrich.axial import AXIAL
from enrich.columns import SEGMENTATION
from enrich.evaluate import read_label_map
from enrich.metrics.segmentation import scores
from gan.errors import InputError, run

KEYS, COLUMNS = SEGMENTATION.keys, SEGMENTATION.columns
COUNTED = 2000 / 240**2  # of a slice: Xin et al., ISBI 2020, section 2.4


def counted_slices(image: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which slices of a scan, (Z, Y, X), enter the DICE by slice, (Z,).

    Those with as large a part of non-zero voxels as Xin et al. (ISBI 2020) ask for: brain, where the background of the
    scan is 0 as in BraTS. Where it is not, as in CT, every slice counts. They ask it of all modalities of a case; here
    it is the segmented one.
    """
    counted: NDArray[np.bool_] = np.mean(image != 0, axis=(1, 2)) > COUNTED
    return counted


def score(
    scans: Path, predictions: Path, identity: dict[str, str | int], wanted: Sequence[str] | None = None
) -> pd.DataFrame:
    """Compare every prediction of an index with the reference of its scan.

    Args:
        scans: `scans.csv`; names each case's reference and its hash.
        predictions: `index.csv` with columns case, image, sha256.
        identity: modality, method and seed, repeated in every row.
        wanted: structures; None, all of the modality.

    Returns:
        `COLUMNS`, in the order of the index and, of each case, of the structures. `note` is `empty reference`,
        `empty prediction`, both joined by a comma, or nothing.

    Raises:
        InputError: an empty index, a case that is listed twice or has no labelled scan, a file that is not the one that
            the table names, or masks on different grids.
    """
    predicted = index.read(predictions, index.PREDICTIONS)
    listed = index.read(scans, index.SCANS)
    references = listed[(listed["modality"] == identity["modality"]) & (listed["label"] != "")].set_index("case")
    if predicted.empty or predicted["case"].duplicated().any():
        twice = ", ".join(predicted["case"][predicted["case"].duplicated()])
        raise InputError(predictions, f"{twice} twice" if twice else "no prediction", "every case once")
    known, rows = structures.read(scans).of[str(identity["modality"])], []
    for _, row in tqdm(predicted.iterrows(), "score", len(predicted), disable=None):
        if row["case"] not in references.index:
            raise InputError(predictions, f"case {row['case']}", f"a labelled {identity['modality']} scan of {scans}")
        scan = references.loc[row["case"]]
        files = [
            index.file_of(predictions, row["image"], row["sha256"]),
            index.file_of(scans, scan["label"], scan["label_sha256"]),
        ]
        image_path = index.file_of(scans, scan["image"], scan["image_sha256"])
        image = volume.reorient(volume.read(image_path), AXIAL)
        counted = counted_slices(image.array)
        prediction, reference = (read_label_map(path) for path in files)
        volume.require_same_grid(files[0], prediction, reference)
        volume.require_same_grid(image_path, image, reference)
        for name in wanted or known:
            masks = {
                what: np.isin(each.array, known[name])
                for what, each in (("reference", reference), ("prediction", prediction))
            }
            rows.append(
                {"patient": scan["patient"], "case": row["case"], "structure": name}
                | identity
                | scores(masks["prediction"], masks["reference"], reference.spacing_mm[::-1], counted)
                | {f"{what}_ml": float(mask.sum() * reference.voxel_ml) for what, mask in masks.items()}
                | {"note": ", ".join(f"empty {what}" for what, mask in masks.items() if not mask.any())}
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def main() -> None:
    """Write one segmenter's scores."""
    parser = argparse.ArgumentParser(prog="python -m enrich.score", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--predictions", type=Path, required=True, help="index.csv of the predicted masks")
    parser.add_argument("--method", required=True, help="the translator that enriched the scans, or single or zero")
    parser.add_argument("--modality", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--structures", nargs="+", help="those to score; all of the modality, if none is named")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    arguments = parser.parse_args()
    identity = {name: getattr(arguments, name) for name in ("modality", "method", "seed")}
    table = score(arguments.scans, arguments.predictions, identity, arguments.structures)
    index.write(table, arguments.output)


if __name__ == "__main__":
    run(main)
