"""Further training cases for a segmenter: the other modalities' scans translated, its own translated there and back.

The offline augmentation that Zhang et al. (CVPR 2018, section 5.3) compare with, ADA: a segmenter that was trained on
real scans is fine-tuned on these cases together with the real ones.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, splits, volume
from enrich.crossfit import FIT_HELP, Fits, models_of_fits
from enrich.intensity import AIR_HU, Intensity, stored_range
from enrich.modality import is_ct
from enrich.splits import Splits
from enrich.translate import Planes, read_planes
from enrich.volume import Volume
from gan.errors import InputError, run
from gan.files import publish_folder, sha256
from gan.lease import lease


def ways(source: str, modality: str, modalities: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what is made of a scan of modality `source` for a segmenter of `modality`, as (through, directions).

    A scan of another modality is translated once, through nothing; one of `modality` to every other one and back.
    """
    if source != modality:
        yield "", [(source, modality)]
        return
    for through in modalities:
        if through != modality:
            yield through, [(modality, through), (through, modality)]


def as_real(planes: Planes, source: str, modality: str, intensity: Intensity) -> Volume:
    """Return what was made of a scan of modality `source`, stored as a real scan of `modality`: int16, on its grid.

    CT in HU within the config's window, MR from 0 to 1000, which nnU-Net normalizes by the case. Outside nnU-Net's
    non-zero mask of the scan, a synthetic CT is air, -1024 HU: nnU-Net clips it, as all below its real scans' targets.
    Synthetic MR is exactly 0 there, as the background of real MR; so is a reconstructed scan of either kind, as the
    scan itself.
    """
    stored = planes.stored(modality, intensity)
    if not is_ct(modality):
        return stored
    outside = 0 if is_ct(source) else AIR_HU
    return stored.with_array(np.where(planes.inside.array, stored.array + np.int16(AIR_HU), np.int16(outside)))


def write_cases(
    scans_csv: Path, who: Splits, fits: Fits, modality: str, intensity: Intensity, folder: Path
) -> pd.DataFrame:
    """Write every case for a segmenter of `modality` to `folder`; return the rows of the index.

    The scans are those of the patients who train the segmenter, as far as they have a label, which is the case's label.

    Raises:
        InputError: a direction that no model has learned, or no scan to make a case of.
    """
    scans = index.read(scans_csv, index.SCANS)
    scans = scans[scans["patient"].isin([*who.train, *who.watch]) & (scans["label"] != "")]
    modalities = list(dict.fromkeys(name for direction in fits.directions for name in direction))
    rows = []
    for _, scan in tqdm(scans.iterrows(), "cases", len(scans), disable=None):
        source = scan["modality"]
        path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
        label = index.file_of(scans_csv, scan["label"], scan["label_sha256"])
        planes = read_planes(path, scan, fits.image_size, intensity)
        fit = fits.of(scan["patient"])
        for through, directions in ways(source, modality, modalities):
            found = planes
            for direction in directions:
                found = fit.translated(found, *direction)
            name = f"{scan['case']}_{source}_" + (f"by_{through}" if through else f"to_{modality}")
            image = folder / f"{name}.nii.gz"
            volume.write(as_real(found, source, modality, intensity), image)
            names = (name, scan["patient"], source, modality, through)
            relative = os.path.relpath(label.absolute(), folder.absolute())
            rows.append((*names, image.name, sha256(image), relative, scan["label_sha256"], fit.name))
    if not rows:
        raise InputError(scans_csv, f"no labelled training scan to make a {modality} case of", "at least one")
    return pd.DataFrame(rows, columns=[*index.CASES, "fit"])


def facts_of(modality: str, intensity: Intensity, models: Mapping[str, Sequence[Path]]) -> dict[str, object]:
    """Return what the numbers in the images mean, and which models made them."""
    offset = AIR_HU if is_ct(modality) else 0
    return {
        "modality": modality,
        "unit": "HU" if is_ct(modality) else "arbitrary",
        "range": [bound + offset for bound in stored_range(modality, intensity)],
        "outside": {"synthetic": offset, "reconstructed": 0},
        "models_sha256": {fit: [sha256(model) for model in paths] for fit, paths in models.items()},
    }


def main() -> None:
    """Parse the command line and publish the folder of cases."""
    parser = argparse.ArgumentParser(description="Translate the training scans to a modality, as cases of it.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--fit", nargs="+", action="append", required=True, metavar="NAME MODEL", help=FIT_HELP)
    parser.add_argument("--modality", required=True, help="modality of the segmenter that the cases train")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    lease()
    who, intensity = splits.read(arguments.splits), Intensity(**arguments.intensity)
    models = models_of_fits(arguments.fit)
    fits = Fits(models, who)
    with publish_folder(arguments.output.parent) as folder:
        rows = write_cases(arguments.scans, who, fits, arguments.modality, intensity, folder)
        rows.to_csv(folder / arguments.output.name, index=False)
        facts = facts_of(arguments.modality, intensity, models)
        (folder / "cases.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
