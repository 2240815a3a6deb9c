"""Segment the test patients' translations to a modality with an nnU-Net of that modality's real scans: the S-score.

A translation is given to nnU-Net as if it were a real scan of the modality, so that it is normalized as one: CT in HU.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.intensity import Intensity
from enrich.nnunet.dataset import FILE_ENDING
from enrich.nnunet.predict import load
from enrich.translations import read_translations
from gan import stopwatch
from gan.errors import run
from gan.files import publish_folder, sha256
from gan.lease import lease


def main() -> None:
    """Parse the command line, segment, and publish the folder of segmentations and their index."""
    parser = argparse.ArgumentParser(prog="python -m enrich.nnunet.predict_translations", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    translated = parser.add_mutually_exclusive_group(required=True)
    translated.add_argument("--synthetic", type=Path, help="index of the synthetic images")
    translated.add_argument("--floor", action="store_true", help="segment the sources, as if they were translations")
    parser.add_argument("--modality", required=True, help="modality that is translated to")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument(
        "--checkpoints", type=Path, nargs="+", required=True, help="…/fold_<fold>/checkpoint_final.pth of one model"
    )
    parser.add_argument("--no-mirroring", action="store_true", help="predict each image once: faster")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    lease()
    rows = []
    found = read_translations(
        arguments.scans,
        arguments.splits,
        arguments.synthetic,
        [arguments.modality],
        Intensity(**arguments.intensity),
    )
    predictor = load(arguments.checkpoints, not arguments.no_mirroring)
    with publish_folder(arguments.output.parent) as folder:
        for translation in tqdm(found, "predict", disable=None):
            scan, row = translation.picture.scan, translation.row
            facts = {"spacing": list(scan.spacing_mm[::-1])}
            with stopwatch.inside():
                segmentation = predictor.predict_single_npy_array(scan.array[None].astype(np.float32), facts)
            path = folder / f"{row['case']}_{row['modality']}_to_{arguments.modality}{FILE_ENDING}"
            volume.write(scan.with_array(segmentation), path)
            rows.append((row["case"], row["modality"], path.name, sha256(path)))
        index.write_made_by(folder, arguments.checkpoints, [arguments.synthetic] if arguments.synthetic else [])
        index.write(pd.DataFrame(rows, columns=index.SEGMENTED), folder / arguments.output.name)


if __name__ == "__main__":
    run(main)
