"""Anyone's translator: synthetic scans that were made elsewhere, as `enrich.synthesize` would have written them.

Their folder holds `<case>_<source>_to_<target>.nii.gz` for every scan and every other modality, on the source's grid:
CT in HU, any other modality on a scale of its own.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.axial import AXIAL
from enrich.crossfit import ALL
from enrich.intensity import Intensity, denormalize, normalize, stored_range
from enrich.nonzero import nonzero_mask
from gan.errors import InputError, run
from gan.files import publish_folder, sha256


def write_precomputed(
    scans_csv: Path,
    modalities: Sequence[str],
    given: Path,
    intensity: Intensity,
    folder: Path,
    dropped: Path | None = None,
) -> pd.DataFrame:
    """Write the given scans to `folder` as synthetic ones are stored, with their sidecars; return the index.

    A folder that was made for the complete data may be given: what is made of `dropped` scans is not read.

    Intensities are scaled as those of a real scan of the modality are, by the preset default, stored as `denormalize`
    says, and 0 outside nnU-Net's non-zero mask of the source.

    Raises:
        InputError: a scan without its translations, a file that is none of them, or one on another grid.
    """
    scans = index.read(scans_csv, index.SCANS)
    wanted = _names(scans, modalities)
    unread = {} if dropped is None else _names(index.read(dropped, index.SCANS), modalities)
    there = {path.name for path in given.glob("*.nii.gz")} if given.is_dir() else set()
    if missing := sorted(wanted.keys() - there):
        raise InputError(given, f"no {missing[0]}, {len(missing)} of {len(wanted)} are not there", "every translation")
    if strange := sorted(there - wanted.keys() - unread.keys()):
        raise InputError(given / strange[0], "a file for no scan of the study", "<case>_<source>_to_<target>.nii.gz")
    rows = []
    for name, (row, target) in tqdm(wanted.items(), "precomputed", disable=None):
        path = given / name
        source = volume.read(index.file_of(scans_csv, row["image"], row["image_sha256"]))
        found = volume.read(path)
        volume.require_same_grid(path, found, source)
        axial = volume.reorient(found, AXIAL)
        images, _ = normalize(axial.array, target, replace(intensity, preset="default"), None, path)
        stored = volume.reorient(axial.with_array(denormalize(images, target, intensity)), source.orientation)
        inside = nonzero_mask(source.array)
        volume.write(source.with_array(np.where(inside, stored.array, np.int16(0))), folder / name)
        facts = {
            "modality": target,
            "source": row["image"],
            "source_sha256": row["image_sha256"],
            "range": stored_range(target, intensity),
            "fit": ALL,
            "models_sha256": [],
            "precomputed_sha256": sha256(path),
        }
        (folder / name.replace(".nii.gz", ".json")).write_text(json.dumps(facts, indent=2) + "\n")
        rows.append((row["case"], row["modality"], target, name, sha256(folder / name), ALL))
    return pd.DataFrame(rows, columns=[*index.SYNTHETIC, "fit"])


def _names(scans: pd.DataFrame, modalities: Sequence[str]) -> dict[str, tuple["pd.Series[str]", str]]:
    return {
        f"{row['case']}_{row['modality']}_to_{target}.nii.gz": (row, target)
        for _, row in scans.iterrows()
        for target in modalities
        if target != row["modality"]
    }


def main() -> None:
    """Parse the command line and publish the folder of synthetic scans."""
    parser = argparse.ArgumentParser(prog="python -m enrich.precomputed", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of the given scans")
    parser.add_argument("--dropped", type=Path, help="index of scans whose translations may be there too")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        rows = write_precomputed(
            arguments.scans,
            arguments.modalities,
            arguments.folder,
            Intensity(**arguments.intensity),
            folder,
            arguments.dropped,
        )
        index.write(rows, folder / "index.csv")


if __name__ == "__main__":
    run(main)
