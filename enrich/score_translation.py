"""Score the translations of one translator: one CSV row per test patient × source × target modality.

The S-score is the DICE of a segmentation of the translation, by an nnU-Net of real scans of the target modality, with
the source's own label (Chen et al., MICCAI 2021). Its floor is the source, copied, and its ceiling the segmentation of
real scans of the target. The other metrics are those of `enrich.metrics.image`: on the scan's own grid, of images in
[-1, 1], in the source's body. Mutual information and slice consistency compare a translation with its source; the
others with the real scan of the target of the same case on the same grid, where there is one.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, structures, volume
from enrich.arguments import named_path
from enrich.columns import CEILING, FLOOR, OF_REAL_TARGETS, TRANSLATION
from enrich.evaluate import read_mask
from enrich.intensity import Intensity
from enrich.metrics.image import mean_absolute_error, mutual_information_nats, psnr_db, slice_consistency, ssim
from enrich.metrics.segmentation import dice_percent
from enrich.structures import Structures
from enrich.translations import Translation, read_aligned, read_translations, scans_to_test
from gan.errors import InputError, run

COLUMNS = TRANSLATION.columns


def score(
    scans: Path,
    splits: Path,
    synthetic: Path | None,
    predictions: Mapping[str, Path],
    intensity: Intensity,
    identity: dict[str, str | int],
) -> pd.DataFrame:
    """Score every translation of a test patient's labelled scan.

    Args:
        scans: `scans.csv`.
        splits: `splits.json`.
        synthetic: index of the synthetic scans; None: the sources, copied.
        predictions: by target modality, the index that `enrich.nnunet.predict_translations` wrote of them.
        intensity: as in the synthesis.
        identity: method and seed, repeated in every row.

    Returns:
        `COLUMNS`, in the order of the scans.

    Raises:
        InputError: a translation that was not segmented, or a file that is missing, is another one, or is on another
            grid.
    """
    segmented = {
        target: {(row["case"], row["source"]): row for row in index.read(path, index.SEGMENTED).to_dict("records")}
        for target, path in predictions.items()
    }
    rows, known = [], structures.read(scans)
    found = read_translations(scans, splits, synthetic, list(predictions), intensity)
    for translation in tqdm(found, "score", disable=None):
        row, target = translation.row, translation.picture.modality
        path = predictions[target]
        names = (row["case"], row["modality"])
        if names not in segmented[target]:
            raise InputError(path, f"no segmentation of {row['case']} from {row['modality']}", "one")
        entry = segmented[target][names]
        label = _target(index.file_of(scans, row["label"], row["label_sha256"]), row["modality"], known)
        keys = {"patient": row["patient"], "case": row["case"], "source": row["modality"], "target": target}
        rows.append(
            keys
            | identity
            | {"fit": translation.fit, "s_score_percent": _s_score(path, entry, target, label, known)}
            | _compare(translation, label, scans, intensity)
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def score_real(
    scans: Path, splits: Path, predictions: Mapping[str, Path], identity: dict[str, str | int]
) -> pd.DataFrame:
    """Score the segmentations of the test patients' real scans: the ceiling of the S-score, source and target alike.

    Args:
        scans: `scans.csv`.
        splits: `splits.json`.
        predictions: by modality, the index that `enrich.nnunet.predict` wrote.
        identity: method and seed, repeated in every row.

    Returns:
        `COLUMNS`; every metric but the S-score is NaN.

    Raises:
        InputError: a test scan that was not segmented, or a file that is missing, is another one, or is on another
            grid.
    """
    rows, known = [], structures.read(scans)
    for modality, path in predictions.items():
        predicted = index.read(path, index.PREDICTIONS).set_index("case")
        for _, row in scans_to_test(scans, splits, [modality]).iterrows():
            if row["case"] not in predicted.index:
                raise InputError(path, f"no segmentation of {row['case']}", "one of every labelled test scan")
            entry = predicted.loc[row["case"]]
            label = _target(index.file_of(scans, row["label"], row["label_sha256"]), modality, known)
            percent = _s_score(path, entry, modality, label, known)
            keys = {"patient": row["patient"], "case": row["case"], "source": modality, "target": modality}
            rows.append(keys | identity | {"fit": "", "s_score_percent": percent})
    return pd.DataFrame(rows, columns=COLUMNS)


def _target(path: Path, modality: str, known: Structures) -> volume.Volume:
    """Read the target area of a label map of a modality, axial."""
    return read_mask(path, known.target_values(modality))


def _s_score(
    predictions: Path, entry: Mapping[Any, str], modality: str, label: volume.Volume, known: Structures
) -> float:
    path = index.file_of(predictions, entry["image"], entry["sha256"])
    mask = _target(path, modality, known)
    volume.require_same_grid(path, mask, label)
    return dice_percent(mask.array, label.array)


def _compare(translation: Translation, label: volume.Volume, scans: Path, intensity: Intensity) -> dict[str, float]:
    """Return the metrics of one translation's images."""
    source, image, body = translation.source, translation.picture.images, translation.source.body
    found = {
        "mi_nats": mutual_information_nats(image, source.images, body),
        "slice_consistency": slice_consistency(image, source.images, body),
    }
    real = read_aligned(scans, translation.row, translation.picture.modality, intensity)
    if real is None:
        return found | dict.fromkeys(OF_REAL_TARGETS, np.nan)
    return found | {
        "psnr_db": psnr_db(image, real.images, body),
        "ssim": ssim(image, real.images, body),
        "mae_in_target": mean_absolute_error(image, real.images, label.array),
    }


def main() -> None:
    """Parse the command line and write the scores."""
    parser = argparse.ArgumentParser(prog="python -m enrich.score_translation", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument(
        "--method", required=True, help=f"name of the translator; {FLOOR}: the floor, {CEILING}: the ceiling"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--synthetic", type=Path, help="index of the synthetic images; none of floor and ceiling")
    parser.add_argument(
        "--predictions", type=named_path, nargs="+", required=True, metavar="TARGET=INDEX", help="segmentations"
    )
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    arguments = parser.parse_args()
    if (arguments.synthetic is None) != (arguments.method in (FLOOR, CEILING)):
        parser.error(f"--synthetic is for every method but {FLOOR} and {CEILING}")
    identity: dict[str, str | int] = {"method": arguments.method, "seed": arguments.seed}
    where, predictions = (arguments.scans, arguments.splits), dict(arguments.predictions)
    if arguments.method == CEILING:
        table = score_real(*where, predictions, identity)
    else:
        table = score(*where, arguments.synthetic, predictions, Intensity(**arguments.intensity), identity)
    index.write(table, arguments.output)


if __name__ == "__main__":
    run(main)
